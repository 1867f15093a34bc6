"""Run folders: the output of a training. Reading a run folder executes nothing in it.

``folder`` reads configuration and progress without torch. ``weights`` loads the model. ``data`` names the training
pictures. ``opening`` opens model and data together. ``loss_network`` makes a loss network from a run or from published
weights.
"""
