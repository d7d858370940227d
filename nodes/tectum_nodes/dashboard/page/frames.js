// Frames: uint32 length of the head, the head as JSON, the body. See frames.py.
const decoder = new TextDecoder();

export function readFrame(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  const at = 4 + length;
  if (head.t === "image") head.jpeg = new Blob([new Uint8Array(buffer, at)], { type: "image/jpeg" });
  if (head.t === "points" || head.t === "audio") head.values = new Int16Array(buffer, at);
  if (head.t === "result") {
    const numbers = new Float32Array(buffer, at);
    for (const output of Object.values(head.outputs)) {
      const size = output.shape.reduce((product, extent) => product * extent, 1);
      if (output.at !== undefined) output.values = numbers.subarray(output.at, output.at + size);
    }
  }
  return head;
}
