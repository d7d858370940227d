// A camera: its newest picture, and over it the boxes of the newest answer.
import { makeTile } from "./tile.js";
import { PALETTE, Room } from "./words.js";

export function makeCamera(topic) {
  let picture = null;
  let size = null; // of the picture that boxes were measured in
  let output = null;
  let mine = () => true; // which of its rows are on this camera
  let decoding = false;
  let next = null;
  const tile = makeTile("camera", topic, paint);
  tile.take = async (frame) => {
    next = frame;
    if (decoding) return;
    decoding = true;
    while (next) {
      const frame_now = next;
      next = null;
      try {
        const bitmap = await createImageBitmap(frame_now.jpeg);
        picture?.close();
        picture = bitmap;
        size = [frame_now.width ?? bitmap.width, frame_now.height ?? bitmap.height];
        tile.root.classList.toggle("broad", size[0] / size[1] > 2.4);
        tile.root.dataset.seq = frame_now.seq;
        tile.touch();
      } catch { /* a broken picture: the next one comes */ }
    }
    decoding = false;
  };
  tile.mark = (boxes, which = () => true) => {
    [output, mine] = [boxes, which];
    tile.root.dataset.marks = Array.from({ length: boxes.shape[0] }, (_, row) => row).filter(which).length;
    tile.touch();
  };

  function paint({ context, canvas }) {
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (!picture) return;
    const scale = Math.max(canvas.width / size[0], canvas.height / size[1]);
    const fits = Math.min(canvas.width / size[0], canvas.height / size[1]);
    const by = scale / fits < 1.12 ? scale : fits; // fill the tile where little is cut off
    const left = (canvas.width - size[0] * by) / 2, top = (canvas.height - size[1] * by) / 2;
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, left, top, size[0] * by, size[1] * by);
    if (output) drawBoxes(context, output, mine, left, top, by);
  }
  return tile;
}

// Draw all boxes, and the labels of the nearest as far as they have room.
function drawBoxes(context, output, mine, left, top, by) {
  const [rows, columns] = output.shape;
  const distance = (output.columns ?? []).indexOf("distance_m");
  const unit = Math.max(1, Math.min(devicePixelRatio || 1, 2));
  const room = new Room();
  const items = Array.from({ length: rows }, (_, row) => row)
    .filter(mine)
    .map((row) => output.values.subarray(row * columns, (row + 1) * columns));
  const far = (item) => (distance >= 0 && Number.isFinite(item[distance]) ? item[distance] : 1e6);
  items.sort((one, other) => far(one) - far(other));
  context.font = `600 ${13 * unit}px Inter, "DejaVu Sans", system-ui, sans-serif`;
  context.lineWidth = 2 * unit;
  for (const item of items) {
    const label = Math.round(item[5]);
    const hue = PALETTE[Math.abs(label) % PALETTE.length];
    const [x, y, width, height] = [left + item[0] * by, top + item[1] * by, (item[2] - item[0]) * by, (item[3] - item[1]) * by];
    context.strokeStyle = hue;
    context.beginPath();
    context.roundRect(x, y, width, height, 4 * unit);
    context.stroke();
    let text = output.labels?.[label] ?? String(label);
    if (far(item) < 1e6) text += `  ${item[distance].toFixed(1)} m`;
    const wide = context.measureText(text).width + 12 * unit, high = 20 * unit;
    const at_x = Math.max(0, x - unit);
    const at_y = y >= high ? y - high : y;
    if (!room.free(at_x, at_y, wide, high)) continue;
    context.fillStyle = hue;
    context.beginPath();
    context.roundRect(at_x, at_y, wide, high, 4 * unit);
    context.fill();
    context.fillStyle = "#071018";
    context.fillText(text, at_x + 6 * unit, at_y + 14.5 * unit);
  }
}
