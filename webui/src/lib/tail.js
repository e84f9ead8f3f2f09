// The end of a file that grows, read piece by piece through `read(offset, length)`, which gives {data, offset} as /files/read does
// (offset -1 asks for the size). Offsets are bytes while data is text: pieces end at the end of a line where they can, so that no letter
// of several bytes is cut in two.
export const PIECE = 64 * 1024;
const KEPT = 4 * 1024 * 1024;
const AT_ONCE = 16; // pieces a turn: the rest comes with the next

const size = (text) => new TextEncoder().encode(text).length;
const UNREADABLE = '\uFFFD';

export class Tail {
  constructor(read) {
    this.read = read;
    this.pieces = []; // {key, text}, oldest first
    this.start = this.end = null; // of what is kept, in the file
    this.keys = 0;
    this.dropped = false; // older pieces were let go
  }

  get more() {
    return this.start > 0;
  }

  // Reads what came since the last time; the last piece of the file at the first time. True when something changed.
  async follow() {
    const { offset: total } = await this.read(-1);
    let changed = false;
    if (this.end == null || total < this.end) { // the first time, or somebody cut the file: rotation does
      this.pieces = [];
      this.start = this.end = Math.max(0, total - PIECE);
      changed = true;
    }
    for (let n = 0; n < AT_ONCE && this.end < total; n++) {
      const want = Math.min(PIECE, total - this.end);
      const { data } = await this.read(this.end, want);
      const got = want === PIECE ? wholeLines(data, want) : { text: data, bytes: want };
      this.add(got.text, false);
      this.end += got.bytes;
      changed = true;
    }
    return changed;
  }

  // Reads the piece before the first.
  async older() {
    if (!this.more) return false;
    const from = Math.max(0, this.start - PIECE);
    const { data } = await this.read(from, this.start - from);
    this.add(data, true);
    this.start = from;
    return true;
  }

  add(text, before) {
    const piece = { key: ++this.keys, text: plain(text) };
    if (before) this.pieces = [piece, ...this.pieces];
    else {
      this.pieces = [...this.pieces, piece];
      let kept = this.pieces.reduce((sum, p) => sum + p.text.length, 0);
      while (kept > KEPT && this.pieces.length > 1) {
        kept -= this.pieces[0].text.length;
        this.start += size(this.pieces[0].text);
        this.pieces = this.pieces.slice(1);
        this.dropped = true;
      }
    }
  }

  text() {
    return this.pieces.map((p) => p.text).join('');
  }
}

// As much of a piece as ends with a line, and how many bytes that is. All of it when bytes cannot be counted.
function wholeLines(data, bytes) {
  const cut = data.lastIndexOf('\n') + 1;
  const rest = data.slice(cut);
  if (!cut) return { text: data, bytes };
  if (!rest.includes(UNREADABLE)) return { text: data.slice(0, cut), bytes: bytes - size(rest) };
  const head = data.slice(0, cut);
  return head.includes(UNREADABLE) ? { text: data, bytes } : { text: head, bytes: size(head) };
}

// Without colours and cursor moves of terminals.
export const plain = (text) => text.replace(/\u001b\[[0-9;?]*[A-Za-z]|\u001b\][^\u0007]*\u0007/g, '').replace(/\r\n/g, '\n');

export function matching(text, words) {
  const want = words.toLowerCase();
  return text.split('\n').filter((line) => line.toLowerCase().includes(want)).join('\n');
}
