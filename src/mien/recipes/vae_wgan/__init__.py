"""VAE-WGAN (Hou, Sun, Shen & Qiu, Neurocomputing 2019)."""
