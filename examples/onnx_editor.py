"""A picture edited by editor.onnx with ONNX Runtime and Pillow only: no mien and no PyTorch.

    mien export faces-64 --editor --out exported
    python examples/onnx_editor.py exported/editor.onnx face.jpg Smiling=1 Eyeglasses=-1

The edited picture is changed.png. The model expects a face as mien align --crop 148 --size 256 cuts it out of a photo.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
names = json.loads(session.get_modelmeta().custom_metadata_map["attributes"])
picture = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("RGB")  # of any size
edit = dict(word.split("=") for word in sys.argv[3:])
amounts = np.array([[edit.get(name, 0) for name in names]], np.float32)  # (1, number of attributes)
[output] = session.run(["output"], {"input": np.asarray(picture)[None], "amounts": amounts})
Image.fromarray(output[0]).save("changed.png")  # uint8 (height, width, 3), at the size of the picture
