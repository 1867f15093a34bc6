"""Run folders: what a training writes, and how it is read back without executing any of it.

``folder`` reads configuration and progress without torch. ``weights`` loads a model. ``data`` names the pictures a
run was trained on. ``opening`` opens all of it. ``loss_network`` makes a loss network from a run or published weights.
"""
