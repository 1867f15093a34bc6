// What gradio's page does not do by itself: paste and drop anywhere, typed amounts, and the card of the map.
(() => {
  "use strict";

  // ---- a photo that is pasted, or dropped beside the place for it, goes into the first empty place of the panel

  const onPage = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.offsetParent !== null);
  const inputOf = (place) => place?.querySelector("input[type=file]") ?? null;
  const emptyInput = () => onPage(".photo-source").map(inputOf).find((one) => one !== null);

  async function waitForInput() {
    for (let tries = 0; tries < 50 && !emptyInput(); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return emptyInput();
  }

  function put(file, input) {
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
  }

  async function give(file, place = null) {
    let input = inputOf(place) ?? emptyInput();
    if (!input) {
      const again = onPage(".photo-again")[0];
      if (!again) return;
      again.click();
      input = await waitForInput();
    }
    if (!input) return;
    put(file, input);
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((one) => one.type.startsWith("image/"));
    if (!file) return;
    event.preventDefault();
    give(file);
  });

  // without these two, the browser would leave the page and show the dropped file
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (event.defaultPrevented) return; // gradio's own place has it
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) give(file);
  });

  // ---- gradio refuses files whose type the browser does not know, such as HEIC; the server decides what is a picture

  const named = (file) => new File([file], file.name, { type: "image/unknown" });

  document.addEventListener("change", (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.closest(".photo-source") || !input.files?.length) return;
    if (input.files[0].type === "") put(named(input.files[0]), input);
  }, true);
  document.addEventListener("drop", (event) => {
    const place = event.target instanceof Element ? event.target.closest(".photo-source") : null;
    const file = event.dataTransfer?.files[0];
    if (!place || !file || file.type !== "") return;
    event.preventDefault();
    event.stopPropagation();
    give(named(file), place);
  }, true);
  document.addEventListener("click", (event) => {
    const input = event.target instanceof Element ? inputOf(event.target.closest(".photo-source")) : null;
    if (input) input.accept = "image/*,.heic,.heif"; // some systems do not count HEIC among the pictures
  }, true);

  // ---- a slider that is moved by typing or by keys: the value stays in its range, and the end of the change is reported

  const PAUSE = 500; // milliseconds without another change
  let timer = 0;
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || !["number", "range"].includes(field.type)) return;
    const range = field.closest(".block")?.querySelector("input[type=range]");
    if (!range) return;
    if (field.type === "number" && field.value !== "") {
      const value = Math.min(Math.max(Number(field.value), Number(range.min)), Number(range.max));
      if (value !== Number(field.value)) field.value = String(value);
    }
    clearTimeout(timer);
    timer = setTimeout(() => field.dispatchEvent(new PointerEvent("pointerup", { bubbles: true })), PAUSE);
  }, true);

  // ---- the map: the picture below the pointer, enlarged, with its name

  const LARGE = 176; // pixels of the enlarged picture
  const card = document.createElement("figure");
  card.id = "map-card";
  card.hidden = true;
  const picture = document.createElement("div");
  const caption = document.createElement("figcaption");
  card.append(picture, caption);

  // Return the cell below a pointer: its row, its column and the name of its picture, which is empty without a picture.
  function cellAt(image, about, event) {
    const box = image.getBoundingClientRect();
    const scale = Math.min(box.width / image.naturalWidth, box.height / image.naturalHeight);
    const x = event.clientX - box.left - (box.width - image.naturalWidth * scale) / 2;
    const y = event.clientY - box.top - (box.height - image.naturalHeight * scale) / 2;
    const rows = Number(about.dataset.rows);
    const columns = Number(about.dataset.columns);
    const row = Math.floor((y / (image.naturalHeight * scale)) * rows);
    const column = Math.floor((x / (image.naturalWidth * scale)) * columns);
    const inside = row >= 0 && row < rows && column >= 0 && column < columns;
    return { row, column, name: inside ? JSON.parse(about.dataset.names)[row * columns + column] : "" };
  }

  document.addEventListener("pointermove", (event) => {
    const image = event.target instanceof Element && event.target.closest("#map-picture img");
    const about = document.querySelector(".map-about");
    const cell = image && about && event.pointerType !== "touch" ? cellAt(image, about, event) : null;
    card.hidden = !cell?.name;
    if (card.hidden) return;
    if (!card.isConnected) document.body.append(card);
    caption.textContent = cell.name;
    Object.assign(picture.style, {
      backgroundImage: `url("${image.currentSrc || image.src}")`,
      backgroundPosition: `${-cell.column * LARGE}px ${-cell.row * LARGE}px`,
      backgroundSize: `${about.dataset.columns * LARGE}px ${about.dataset.rows * LARGE}px`,
      height: `${LARGE}px`,
      width: `${LARGE}px`,
    });
    const right = event.clientX + 20 + card.offsetWidth < innerWidth;
    const below = event.clientY + 20 + card.offsetHeight < innerHeight;
    card.style.left = `${right ? event.clientX + 20 : event.clientX - 20 - card.offsetWidth}px`;
    card.style.top = `${below ? event.clientY + 20 : event.clientY - 20 - card.offsetHeight}px`;
  });
  document.addEventListener("click", () => { card.hidden = true; });
})();
