"""A model exported by `mien export` with ONNX Runtime and Pillow only: no mien and no PyTorch.

    mien export recognizer-64 --out exported
    python examples/onnx_pictures.py exported/recognize.onnx me.jpg

It prints the three most probable attributes or classes, or writes the edited picture to changed.png.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
picture = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("RGB")
[output] = session.run(["output"], {"input": np.asarray(picture)[None]})  # uint8 (1, height, width, 3) of any size

if json.loads(about["output"])["kind"] == "pictures":
    Image.fromarray(output[0].squeeze()).save("changed.png")  # uint8 (height, width, channels)
else:
    names = json.loads(about.get("attributes") or about["classes"])
    for probability, name in sorted(zip(output[0].tolist(), names, strict=False), reverse=True)[:3]:
        print(f"{name} {probability:.3f}")
