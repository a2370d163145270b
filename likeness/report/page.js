
"use strict";
const $ = (id) => document.getElementById(id);
const cells = [...document.querySelectorAll("button.cell")];
const promptOf = (cell) => cell.closest(".row").dataset.prompt;
const find = (prompt, stage) => cells.find((c) => promptOf(c) === prompt && c.dataset.stage === stage);

// Compare two: the stages of all prompts, each once, in the order of the page.
const stages = new Map(cells.map((c) => [c.dataset.stage, c.dataset.label]));
const order = [...stages.keys()].sort((a, b) => (a === "source" ? -1 : b === "source" ? 1 : a - b));

function show(picture, stage) {
  const cell = find($("prompt").value, stage);
  const image = cell && cell.querySelector("img");
  if (image) picture.src = image.src;
  else picture.removeAttribute("src");
  picture.alt = image ? image.alt : `${stages.get(stage)}: no picture`;
}

function compare() {
  show($("picture-a"), $("a").value);
  show($("picture-b"), $("b").value);
  $("pair").style.setProperty("--at", `${$("slider").value}%`);
}

if (cells.length) {
  for (const select of [$("a"), $("b")]) {
    for (const stage of order) select.add(new Option(stages.get(stage), stage));
    select.addEventListener("change", compare);
  }
  $("b").value = order.at(-1);
  $("prompt").addEventListener("change", compare);
  $("slider").addEventListener("input", compare);
  const drag = (event) => {
    const box = $("pair").getBoundingClientRect();
    $("slider").value = (100 * (event.clientX - box.left)) / box.width;
    compare();
  };
  $("pair").addEventListener("pointerdown", (event) => {
    event.preventDefault();
    $("pair").setPointerCapture(event.pointerId);
    drag(event);
  });
  $("pair").addEventListener("pointermove", (event) => event.buttons && drag(event));
  $("comparison").hidden = false;
  compare();
}

// Enlarge one: Left and Right go along the row.
let current;
function enlarge(cell) {
  if (!cell) return;
  current = cell;
  const image = cell.querySelector("img");
  $("large-picture").src = image.src;
  $("large-label").textContent = $("large-picture").alt = image.alt;
  if (!$("large").open) $("large").showModal();
}
const step = (by) => {
  const row = cells.filter((c) => promptOf(c) === promptOf(current));
  enlarge(row[row.indexOf(current) + by]);
};
const choose = (id) => {
  $("prompt").value = promptOf(current);
  $(id).value = current.dataset.stage;
  $("large").close();
  compare();
  $("comparison").scrollIntoView();
  $(id).focus();
};
for (const cell of cells) cell.addEventListener("click", () => enlarge(cell));
$("previous").addEventListener("click", () => step(-1));
$("next").addEventListener("click", () => step(1));
$("as-a").addEventListener("click", () => choose("a"));
$("as-b").addEventListener("click", () => choose("b"));
$("large").addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
