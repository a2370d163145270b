// Runs in the browser's audio thread: gives the samples of the first channel to the page as they come. No module.
"use strict";
registerProcessor("record-samples", class extends AudioWorkletProcessor {
  process([input]) {
    if (input[0]?.length) this.port.postMessage(input[0].slice())
    return true
  }
})
