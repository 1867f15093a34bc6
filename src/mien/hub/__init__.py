"""Models for other people: saved into a folder, pushed to the Hugging Face Hub, and loaded from there.

The functions behave as those of huggingface_hub's mixin: a configuration in JSON, weights as safetensors that are
loaded strictly, a model card, a revision, the cache of huggingface_hub also without network. A saved folder is a run
folder, so every command takes it, and every command takes ``hf://owner/name`` and ``hf://owner/name@revision``.
"""

from mien.hub.loading import from_pretrained
from mien.hub.pushing import Upload, plan, push_to_hub
from mien.hub.saving import save_pretrained

__all__ = ["Upload", "from_pretrained", "plan", "push_to_hub", "save_pretrained"]
