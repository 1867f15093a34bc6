"""Networks as plain modules: their arguments are numbers and functions, never a model.

A module that serves one paper only says so in its first line. Shared by several papers are ``encoders``, ``decoders``,
``residual``, ``replication``, ``upsampling``, ``vgg``, ``loss_network``, ``point`` and ``prior``.
"""
