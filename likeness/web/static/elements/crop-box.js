// <crop-box src="…" name="crop" value="x,y,width,height" square least="512" pixels="4000x3000" alt="…">
//
// A part of a picture, to be dragged, sized by its corners, drawn anew beside it, or moved and sized by keys: arrows by
// one percent, with Shift by ten. Its value, in forms and as .value, is four fractions of the picture: left, top, width,
// height. `square`: the part is a square in pixels. `pixels`: the size of the true picture, where src is a smaller copy.
// `least`: pixels of the shorter side below which it warns. Tells 'input' while it changes, 'change' when it is done.
"use strict";
(() => {
  const LEAST = 0.02  // of the picture, so that the part can still be grasped
  const CORNERS = { nw: [1, 1], ne: [0, 1], sw: [1, 0], se: [0, 0] }  // where the opposite corner is
  const clamp = (value, low, high) => Math.max(low, Math.min(value, high))

  class CropBox extends HTMLElement {
    static formAssociated = true
    static observedAttributes = ["src", "value", "square", "pixels"]
    #internals = this.attachInternals()
    #box = null  // x, y, width, height as fractions
    #size = null  // width and height of the picture in pixels
    #area; #corner; #picture; #told; #frame

    connectedCallback() {
      if (this.#frame) return
      this.innerHTML = `<div class="crop-frame"><img draggable="false"><div class="crop-shade"><i></i></div>
        <button type="button" class="crop-area"></button>
        ${["nw", "ne", "sw"].map((name) => `<span class="crop-corner" data-corner="${name}"></span>`).join("")}
        <button type="button" class="crop-corner" data-corner="se"></button></div><output></output>`
      this.#frame = this.querySelector(".crop-frame")
      this.#picture = this.querySelector("img")
      this.#area = this.querySelector(".crop-area")
      this.#corner = this.querySelector("button.crop-corner")
      this.#told = this.querySelector("output")
      this.#picture.alt = this.getAttribute("alt") ?? ""
      this.#picture.addEventListener("load", () => this.#ready())
      this.#picture.src = this.getAttribute("src") ?? ""
      this.#frame.addEventListener("pointerdown", (event) => this.#grasp(event))
      this.#frame.addEventListener("keydown", (event) => this.#key(event))
      if (this.#picture.complete && this.#picture.naturalWidth) this.#ready()
    }

    attributeChangedCallback(name, before, now) {
      if (!this.#frame || before === now) return
      if (name === "src") {
        this.#size = null
        this.#picture.src = now ?? ""
      } else if (this.#size) this.#ready()
    }

    formResetCallback() { if (this.#size) this.#ready() }

    get name() { return this.getAttribute("name") }
    get form() { return this.#internals.form }
    get value() { return this.#box ? this.#box.map((part) => String(+part.toFixed(6))).join(",") : "" }
    set value(text) { this.setAttribute("value", text) }

    // Height over width of the part, both as fractions of the picture; null where any will do.
    get #shape() { return this.hasAttribute("square") ? this.#size[0] / this.#size[1] : null }

    #ready() {
      const told = this.getAttribute("pixels")?.split("x").map(Number)
      this.#size = told?.length === 2 && told.every((side) => side > 0)
        ? told : [this.#picture.naturalWidth, this.#picture.naturalHeight]
      const shape = `${this.#picture.naturalWidth} / ${this.#picture.naturalHeight}`
      this.#frame.style.setProperty("--shape", shape)
      this.#frame.style.setProperty("--natural", `${this.#picture.naturalWidth}px`)
      const given = this.getAttribute("value")?.split(",").map(Number)
      const usable = given?.length === 4 && given.every((part) => part >= 0 && part <= 1) && given[2] > 0 && given[3] > 0
      if (usable) this.#place(this.#between([given[0], given[1]], [given[0] + given[2], given[1] + given[3]]))
      else this.whole()
    }

    // The whole picture, or the largest square in its middle.
    whole() {
      const shape = this.#shape
      const width = shape ? Math.min(1, 1 / shape) : 1
      const height = shape ? width * shape : 1
      this.#place([(1 - width) / 2, (1 - height) / 2, width, height])
    }

    // The part from one corner, which stays, to a point.
    #between([x, y], [toX, toY]) {
      const [right, down, shape] = [toX >= x, toY >= y, this.#shape]
      const [mostWidth, mostHeight] = [right ? 1 - x : x, down ? 1 - y : y]
      let width = clamp(Math.abs(toX - x), Math.min(LEAST, mostWidth), mostWidth)
      let height = clamp(Math.abs(toY - y), Math.min(LEAST, mostHeight), mostHeight)
      if (shape) {
        width = Math.min(Math.max(width, height / shape), mostWidth, mostHeight / shape)
        height = width * shape
      }
      return [right ? x : x - width, down ? y : y - height, width, height]
    }

    #place([x, y, width, height], event = "") {
      width = clamp(width, 0, 1)
      height = clamp(height, 0, 1)
      this.#box = [clamp(x, 0, 1 - width), clamp(y, 0, 1 - height), width, height]
      const names = ["--x", "--y", "--w", "--h"]
      this.#box.forEach((part, i) => this.#frame.style.setProperty(names[i], part))
      this.#internals.setFormValue(this.value)
      this.#say()
      if (event) this.dispatchEvent(new Event(event, { bubbles: true }))
    }

    #say() {
      const [left, top, width, height] = this.#box
      const pixels = [Math.round(width * this.#size[0]), Math.round(height * this.#size[1])]
      const small = Math.min(...pixels) < Number(this.getAttribute("least") ?? 0)
      const size = `${pixels[0]} × ${pixels[1]} pixels`
      this.#told.textContent = small ? `${size}: smaller than ${this.getAttribute("least")}` : size
      this.#told.classList.toggle("warn", small)
      const percent = (part) => `${Math.round(100 * part)} %`
      this.#area.setAttribute("aria-label",
        `Part of the picture: ${size}, ${percent(left)} from the left, ${percent(top)} from the top. Arrow keys move it.`)
      this.#corner.setAttribute("aria-label", `Size: ${size}. Arrow keys change it.`)
    }

    #at(event) {
      const frame = this.#frame.getBoundingClientRect()
      return [clamp((event.clientX - frame.left) / frame.width, 0, 1), clamp((event.clientY - frame.top) / frame.height, 0, 1)]
    }

    #grasp(down) {
      if (!this.#box || down.button) return
      const [start, box, corner] = [this.#at(down), this.#box, down.target.dataset?.corner]
      const moves = down.target === this.#area
      const anchor = corner
        ? [box[0] + CORNERS[corner][0] * box[2], box[1] + CORNERS[corner][1] * box[3]] : start
      // A corner is grasped somewhere near itself, and does not jump to the pointer.
      const slip = corner ? [0, 1].map((i) => box[i] + (1 - CORNERS[corner][i]) * box[i + 2] - start[i]) : [0, 0]
      let moved = false
      const move = (event) => {
        const at = this.#at(event)
        if (!moved && Math.hypot(event.clientX - down.clientX, event.clientY - down.clientY) < 3) return
        moved = true
        if (moves) this.#place([box[0] + at[0] - start[0], box[1] + at[1] - start[1], box[2], box[3]], "input")
        else this.#place(this.#between(anchor, at.map((part, i) => clamp(part + slip[i], 0, 1))), "input")
      }
      const end = () => {
        this.#frame.removeEventListener("pointermove", move)
        if (moved) this.dispatchEvent(new Event("change", { bubbles: true }))
      }
      if (!moves && !corner) down.preventDefault()
      this.#frame.setPointerCapture(down.pointerId)
      this.#frame.addEventListener("pointermove", move)
      this.#frame.addEventListener("pointerup", end, { once: true })
      this.#frame.addEventListener("pointercancel", end, { once: true })
    }

    #key(event) {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
      if (!way || !this.#box || event.ctrlKey || event.metaKey || event.altKey) return
      event.preventDefault()
      const [x, y, width, height] = this.#box
      const by = event.shiftKey ? 0.1 : 0.01
      if (event.target === this.#area) this.#place([x + way[0] * by, y + way[1] * by, width, height], "input")
      else if (event.target === this.#corner) {
        const shape = this.#shape
        // In a square each arrow changes both sides, so the smaller of them has to follow.
        const wider = clamp(width + (shape ? way[0] || way[1] : way[0]) * by, LEAST, 1 - x)
        const taller = shape ? Math.min(wider * shape, 1 - y) : clamp(height + way[1] * by, LEAST, 1 - y)
        this.#place([x, y, shape ? taller / shape : wider, taller], "input")
      }
      this.dispatchEvent(new Event("change", { bubbles: true }))
    }
  }
  customElements.define("crop-box", CropBox)
})()
