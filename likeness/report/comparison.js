
"use strict";
const $ = (id) => document.getElementById(id);
const cells = [...document.querySelectorAll("button.cell")];
const rowOf = (cell) => cell.closest(".row").dataset.row;
const find = (row, column) => cells.find((c) => rowOf(c) === row && c.dataset.column === column);
const labels = new Map(cells.map((c) => [c.dataset.column, c.dataset.label]));
const way = () => document.querySelector("input[name=way]:checked").value;

function show(picture, column) {
  const cell = find($("row").value, column);
  const image = cell && cell.querySelector("img");
  if (!image) picture.removeAttribute("src");
  else if (picture.src !== image.src) picture.src = image.src;
  picture.alt = image ? image.alt : `${labels.get(column)}: no picture`;
  return image;
}

// What the address says after '#' is what is shown, so that it can be kept as a bookmark.
const chosen = ["row", "a", "b"];
function remember() {
  const state = new URLSearchParams(chosen.map((id) => [id, $(id).value]));
  state.set("way", way());
  if (location.hash !== `#${state}`) history.replaceState(null, "", `#${state}`);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const id of chosen)
    if (state.has(id) && [...$(id).options].some((o) => o.value === state.get(id))) $(id).value = state.get(id);
  const asked = [...document.getElementsByName("way")].find((r) => r.value === state.get("way"));
  if (asked) asked.checked = true;
}

const slide = () => $("pair").style.setProperty("--at", `${$("slider").value}%`);

function compare() {
  const [a, b] = [show($("picture-a"), $("a").value), show($("picture-b"), $("b").value)];
  const shown = way();
  $("pair").className = `pair as-${shown}`;
  slide();
  $("slide").hidden = shown !== "slider";
  $("gain-label").hidden = shown !== "difference";
  $("far").textContent = "";
  for (const cell of cells) {
    const here = rowOf(cell) === $("row").value;
    cell.classList.toggle("is-a", here && cell.dataset.column === $("a").value);
    cell.classList.toggle("is-b", here && cell.dataset.column === $("b").value);
  }
  if (shown === "difference") subtract(a, b);
  remember();
}

// |A - B|, amplified: black where nothing differs. Pictures of other sizes are brought to the size of A.
let latest = 0;
async function subtract(a, b) {
  const mine = ++latest;
  const canvas = $("difference");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!a || !b) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    $("far").textContent = "There is no picture to subtract.";
    return;
  }
  await Promise.all([a.decode(), b.decode()]);
  if (mine !== latest || way() !== "difference") return; // something else was chosen meanwhile
  canvas.width = a.naturalWidth;
  canvas.height = a.naturalHeight;
  const pixels = (image) => {
    context.drawImage(image, 0, 0, canvas.width, canvas.height);
    return context.getImageData(0, 0, canvas.width, canvas.height);
  };
  const [first, second] = [pixels(a), pixels(b)];
  const gain = Number($("gain").value);
  $("gain-value").textContent = `${gain}×`;
  let sum = 0;
  for (let i = 0; i < first.data.length; i++) {
    if (i % 4 === 3) continue;
    const far = Math.abs(first.data[i] - second.data[i]);
    sum += far;
    first.data[i] = Math.min(255, gain * far);
  }
  context.putImageData(first, 0, 0);
  const mean = sum / (0.75 * first.data.length * 255);
  const told = `A and B differ by ${(100 * mean).toFixed(1)} % on average.`;
  $("far").textContent = canvas.ariaLabel = sum ? told : "A and B are the same.";
}

function go(by) {
  const select = $("row");
  select.selectedIndex = Math.min(select.options.length - 1, Math.max(0, select.selectedIndex + by));
  compare();
}

function swap() {
  [$("a").value, $("b").value] = [$("b").value, $("a").value];
  compare();
}

function choose(value) {
  document.querySelector(`input[name=way][value=${value}]`).checked = true;
  compare();
}

if (cells.length) {
  const order = [...labels.keys()].sort((x, y) => x - y);
  for (const select of [$("a"), $("b")])
    for (const column of order) select.add(new Option(labels.get(column), column));
  $("b").value = order.filter((c) => labels.get(c) !== "source").at(-1);
  recall();
  for (const id of chosen) $(id).addEventListener("change", compare);
  for (const radio of document.getElementsByName("way")) radio.addEventListener("change", compare);
  $("slider").addEventListener("input", slide);
  $("gain").addEventListener("input", compare);
  $("swap").addEventListener("click", swap);
  const drag = (event) => {
    if (way() !== "slider") return;
    const box = $("pair").getBoundingClientRect();
    $("slider").value = (100 * (event.clientX - box.left)) / box.width;
    slide();
  };
  $("pair").addEventListener("pointerdown", (event) => {
    event.preventDefault();
    $("pair").setPointerCapture(event.pointerId);
    drag(event);
  });
  $("pair").addEventListener("pointermove", (event) => event.buttons && drag(event));
  for (const cell of cells)
    cell.addEventListener("click", (event) => {
      $("row").value = rowOf(cell);
      $(event.shiftKey ? "a" : "b").value = cell.dataset.column;
      compare();
      $("comparison").scrollIntoView({ block: "nearest" });
    });
  const keys = {
    s: () => choose("slider"), b: () => choose("beside"), d: () => choose("difference"),
    x: swap, n: () => go(1), p: () => go(-1),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select")) return;
    if (keys[event.key]) keys[event.key]();
  });
  addEventListener("hashchange", () => { recall(); compare(); });
  $("comparison").hidden = false;
  compare();
}
