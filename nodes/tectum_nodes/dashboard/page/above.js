// Lidar from above: forward is up, left is left. Under it the bird's-eye grid, over it the objects.
import { makeTile } from "./tile.js";
import { PALETTE, Room, colour } from "./words.js";

const AHEAD_M = 52, BEHIND_M = 6;

export function makeAbove(topic) {
  let cloud = null;
  const marks = new Map(); // role -> output
  const tile = makeTile("above", topic, paint);
  tile.isAbove = true;
  tile.take = (frame) => { cloud = frame; tile.root.dataset.stamp = frame.stamp_ns; tile.touch(); };
  tile.mark = (output) => { marks.set(output.role, output); tile.touch(); };

  function paint({ context, canvas }) {
    const scale = canvas.height / (AHEAD_M + BEHIND_M);
    const place = (x_m, y_m) => [canvas.width / 2 - y_m * scale, (AHEAD_M - x_m) * scale];
    context.fillStyle = colour("inset");
    context.fillRect(0, 0, canvas.width, canvas.height);
    if (marks.has("grid")) drawGrid(context, marks.get("grid"), place, scale);
    drawRings(context, place, scale);
    if (cloud) drawCloud(context, canvas, cloud, scale);
    if (marks.has("objects")) drawObjects(context, marks.get("objects"), place);
    drawSelf(context, place, scale);
  }
  return tile;
}

function drawGrid(context, output, place, scale) {
  const where = output.grid;
  if (!where) return;
  const [rows, columns] = output.shape.slice(-2);
  const size = where.cell_m * scale;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const share = output.values[row * columns + column];
      if (share < 0.04) continue;
      const [x, y] = place(where.x_min_m + (row + 1) * where.cell_m, where.y_min_m + (column + 1) * where.cell_m);
      context.fillStyle = `rgba(${colour("heat")}, ${0.1 + 0.75 * share})`;
      context.beginPath();
      context.roundRect(x + 1, y + 1, size - 2, size - 2, size / 6);
      context.fill();
    }
  }
}

function drawRings(context, place, scale) {
  const unit = Math.min(devicePixelRatio || 1, 2);
  context.strokeStyle = colour("line");
  context.fillStyle = colour("soft");
  context.lineWidth = unit;
  context.font = `500 ${11 * unit}px Inter, "DejaVu Sans", system-ui, sans-serif`;
  const [x, y] = place(0, 0);
  for (let metres = 10; metres <= 50; metres += 10) {
    context.beginPath();
    context.arc(x, y, metres * scale, -Math.PI, 0);
    context.stroke();
    context.fillText(`${metres} m`, x + 4 * unit, y - metres * scale - 4 * unit);
  }
}

function drawCloud(context, canvas, cloud, scale) {
  const { values } = cloud;
  const dark = document.documentElement.dataset.theme !== "light";
  const dot = Math.max(1, Math.round(canvas.height / 260));
  const shades = dark ? ["#27506b", "#3a7ca0", "#62b4d6", "#b4e6f7"] : ["#9fb6c9", "#6f93b0", "#3f6f95", "#143a5c"];
  const layers = shades.map(() => new Path2D());
  for (let index = 0; index < values.length; index += 4) {
    const x = canvas.width / 2 - (values[index + 1] / 100) * scale;
    const y = (AHEAD_M - values[index] / 100) * scale;
    if (x < 0 || y < 0 || x >= canvas.width || y >= canvas.height) continue;
    const height = (values[index + 2] + 190) / 350; // metres above the road, about
    layers[Math.max(0, Math.min(3, Math.floor(height * 4)))].rect(x, y, dot, dot);
  }
  shades.forEach((shade, layer) => { context.fillStyle = shade; context.fill(layers[layer]); });
}

function drawObjects(context, output, place) {
  const [rows, columns] = output.shape;
  const names = output.columns ?? [];
  const [x_at, y_at, far_at] = ["x_m", "y_m", "distance_m"].map((name) => names.indexOf(name));
  if (x_at < 0 || y_at < 0) return;
  const unit = Math.min(devicePixelRatio || 1, 2);
  const room = new Room();
  context.font = `650 ${12 * unit}px Inter, "DejaVu Sans", system-ui, sans-serif`;
  const items = Array.from({ length: rows }, (_, row) => output.values.subarray(row * columns, (row + 1) * columns))
    .filter((item) => Number.isFinite(item[x_at]) && Number.isFinite(item[far_at]))
    .sort((one, other) => one[far_at] - other[far_at]);
  for (const item of items) {
    const [x, y] = place(item[x_at], item[y_at]);
    context.strokeStyle = PALETTE[Math.abs(Math.round(item[5])) % PALETTE.length];
    context.lineWidth = 2.5 * unit;
    context.beginPath();
    context.arc(x, y, 6 * unit, 0, 2 * Math.PI);
    context.stroke();
    const text = `${output.labels?.[Math.round(item[5])] ?? ""} ${item[far_at].toFixed(1)} m`;
    const wide = context.measureText(text).width;
    const side = [x + 11 * unit, x - 11 * unit - wide].find((left) => room.free(left, y - 8 * unit, wide, 16 * unit));
    context.fillStyle = colour("text");
    if (side !== undefined) context.fillText(text, side, y + 4 * unit);
  }
}

function drawSelf(context, place, scale) {
  const [x, y] = place(0, 0);
  const size = Math.max(9, 1.1 * scale);
  context.fillStyle = colour("accent");
  context.beginPath();
  context.moveTo(x, y - 1.3 * size);
  context.lineTo(x + 0.8 * size, y + size * 0.8);
  context.lineTo(x, y + size * 0.35);
  context.lineTo(x - 0.8 * size, y + size * 0.8);
  context.fill();
}
