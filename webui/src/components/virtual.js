// Which rows of a long table are to be drawn, for where it is scrolled to. Rows have one height.
const MAX_HEIGHT = 12_000_000; // px: browsers lose precision or stop well above it; beyond, a pixel of the bar is more than one of the rows
const OVERSCAN = 8; // rows drawn above and below what is seen

export function virtual({ total, rowHeight, scrollTop, viewHeight }) {
  const full = total * rowHeight;
  const height = Math.min(full, MAX_HEIGHT);
  const seen = Math.ceil(viewHeight / rowHeight) + 1;
  const room = Math.max(1, height - viewHeight);
  const top = full <= MAX_HEIGHT ? scrollTop : (Math.min(scrollTop, room) / room) * (full - viewHeight);
  const first = Math.max(0, Math.min(total - 1, Math.floor(top / rowHeight)));
  const start = Math.max(0, first - OVERSCAN);
  const end = Math.min(total, first + seen + OVERSCAN);
  // Where row `start` begins, in the coordinates of what scrolls.
  return { height, start, end, offset: scrollTop - top + start * rowHeight };
}

// Where to scroll so that a row is seen; `scrollTop` when it is already.
export function reveal(index, { total, rowHeight, scrollTop, viewHeight }) {
  const full = total * rowHeight;
  const room = Math.max(1, Math.min(full, MAX_HEIGHT) - viewHeight);
  const scale = full <= MAX_HEIGHT ? 1 : room / (full - viewHeight);
  const at = scrollTop / scale;
  const y = index * rowHeight;
  if (y < at) return y * scale;
  if (y + rowHeight > at + viewHeight) return (y + rowHeight - viewHeight) * scale;
  return scrollTop;
}

// What to ask of the worker: whole blocks, so that small scrolls ask nothing.
const BLOCK = 64;
export function blocks(start, end) {
  const from = Math.max(0, Math.floor(start / BLOCK) - 1) * BLOCK;
  return { start: from, count: (Math.ceil(end / BLOCK) + 1) * BLOCK - from };
}
