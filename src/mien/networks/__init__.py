"""Networks as plain modules: their arguments are numbers and functions, never a model.

A module that serves one paper only says so in its first line. Shared by several papers are ``encoders``, ``decoders``,
``dcgan``, ``conditional``, ``stacks``, ``dense``, ``residual``, ``replication``, ``upsampling``, ``vgg``,
``loss_network``, ``sphere``, ``point``, ``prior``, ``image_to_image``, ``domains``, ``targets`` and ``penalty``.
"""
