"""The look of the studio: system fonts, one accent, few lines; nothing is loaded from elsewhere."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

SANS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

CSS = """
.gradio-container { max-width: 1240px !important; width: 100% !important;
  box-sizing: border-box; margin: 0 auto; padding: 16px 20px !important; }
.title { margin: 0 0 2px; font-size: 22px; font-weight: 650; letter-spacing: -0.01em; }
.html-container:has(.title), .html-container:has(.bars) { padding: 0 !important; }
.about { margin: 0; opacity: .72; font-size: 14px; }
.head p { font-size: 14px; margin: 0; }
.empty-hidden:has(.empty) { display: none !important; }
.status p { font-size: 13px; opacity: .8; margin: 0; }
.sliders .block { padding: 6px 10px !important; }
.sliders .gap, .sliders { gap: 4px !important; isolation: isolate; }  /* labels stay below the result on phones */
.view img, .view .image-container { object-fit: contain; }
.bars { padding: 8px 0 20px; }
.bars { display: grid; grid-template-columns: minmax(120px, max-content) 1fr 3.2em; gap: 3px 10px; font-size: 14px;
  align-items: center; }
.bars .track { position: relative; height: 10px; border-radius: 5px; background: var(--border-color-primary); }
.bars .fill { height: 10px; border-radius: 5px; background: var(--neutral-400); }
.bars .yes .fill { background: var(--color-accent); }
.bars .mark { position: absolute; top: -2px; width: 2px; height: 14px; background: var(--body-text-color); }
.bars .yes { font-weight: 600; }
footer { display: none !important; }
"""

HEAD = """<style>
/* gradio changes the selectors of its css option inside @media, so these rules are a style of their own */
.gradio-container { overflow: visible !important; }
/* the track: filled from the left, or from the middle for amounts of either sign; gradio's own is white when dark */
.gradio-container input[type=range] { --track: var(--border-color-primary); --from: 0%; }
.gradio-container .signed input[type=range] { --from: 50%; }
.gradio-container input[type=range]::-webkit-slider-runnable-track { background: linear-gradient(to right,
  var(--track) min(var(--from), var(--range_progress)), var(--slider-color) 0 max(var(--from), var(--range_progress)),
  var(--track) 0) !important; }
.gradio-container input[type=range]::-moz-range-progress { background: transparent !important; }
.gradio-container input[type=range]::-moz-range-track { background: linear-gradient(to right,
  var(--track) min(var(--from), var(--range_progress)), var(--slider-color) 0 max(var(--from), var(--range_progress)),
  var(--track) 0) !important; }
.gradio-container input[type=range]::-webkit-slider-thumb { box-shadow: 0 0 0 1px var(--neutral-400) !important; }
body:not(.dark) .tab-container button.selected { color: var(--primary-700) !important; }
.captions .grid-wrap, [id$="-gallery"] .grid-wrap { height: auto !important; min-height: 0 !important;
  max-height: none !important; }
.captions .caption-label { white-space: normal !important; max-width: 100% !important; }
#map-about { display: none; }
#map-picture img { cursor: pointer; }
#map-card { position: fixed; z-index: 1000; margin: 0; padding: 6px; pointer-events: none; border-radius: 6px;
  background: var(--block-background-fill); color: var(--body-text-color); box-shadow: 0 2px 14px rgb(0 0 0 / 45%); }
#map-card figcaption { max-width: 176px; overflow: hidden; text-overflow: ellipsis; font-size: 12px; margin-top: 4px; }
@media (max-width: 640px) {
  .gradio-container * { min-width: 0; }
  .gradio-container .tab-wrapper { margin: 8px 0; height: auto !important; }
  .gradio-container .tab-container { flex-wrap: wrap; height: auto !important; overflow: visible !important; }
  .gradio-container .tab-container button { flex: none; }
  /* gradio hides the tabs that do not fit by the widths of these copies; all fit, in two lines */
  .gradio-container .tab-container.visually-hidden button { width: 8px; padding: 0; overflow: hidden; }
  .gradio-container .tab-container:not(.visually-hidden) button { padding: 0 10px; height: 34px; }
  .upright { display: contents !important; }
  .upright > * { flex: 0 0 auto !important; width: 100% !important; }
  .change { order: 2; }
  .gradio-container { padding: 8px !important; }
  .gradio-container .main.fillable { padding: 4px !important; }
  #edit-result, #edit-result > div { height: 340px !important; }
  .thumbs .grid-container { grid-template-columns: repeat(4, 1fr) !important; }
  .captions .grid-container { grid-template-columns: repeat(2, 1fr) !important; }
  .bars { grid-template-columns: 42% 1fr 2.6em !important; }
  .result { position: sticky !important; top: 0; z-index: 200; background: var(--body-background-fill); gap: 4px; }
}
</style>
<script>
"""
HEAD += Path(__file__).with_name("page.js").read_text(encoding="utf-8") + "</script>"


def theme() -> gr.themes.Base:
    """Return the theme: neutral grays, a dark teal as the accent, small corners."""
    teal = gr.themes.Color(
        "#effaf8", "#d7f2ee", "#afe4dd", "#7fd0c6", "#4bb3a8", "#23958a", "#147a71", "#12625c", "#124f4b", "#12413e",
        "#06272a", name="teal",
    )  # fmt: skip
    base = gr.themes.Base(
        primary_hue=teal,
        neutral_hue="stone",
        radius_size=gr.themes.sizes.radius_sm,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=SANS,
        font_mono=MONO,
    )
    return base.set(
        block_border_width="0px",
        block_shadow="none",
        block_label_background_fill="transparent",
        block_label_border_width="0px",
        block_label_text_weight="500",
        block_background_fill="white",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        body_background_fill="*neutral_50",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        slider_color="*primary_600",
    )
