// A table of any length. Only what is seen is drawn; readers of the screen hear the true counts (aria-rowcount, aria-rowindex).
//
// columns (the same array each time, or all rows are drawn again): {key, title, cell(row), width: a CSS grid track, end: numbers stand right, sort: may be sorted by (true or a name),
//           min: shown from this width of the window on, label: what to say when the title is not words}
// source: useRows() or useArray(). sort: "column" or "-column" (descending). href(row): what Enter and a click open.
import { Component } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { go } from '../router.js';
import { blocks, reveal, virtual } from './virtual.js';

const width = signal(innerWidth);
addEventListener('resize', () => {
  width.value = innerWidth;
});

const ROW = 32; // px; also --row in table.css
let lastTable = 0;

export function DataTable({ label, columns, source, sort, onSort, href, empty = 'Nothing here.', fit = false, rowClass }) {
  const box = useRef();
  const name = useRef();
  name.current ??= `table${++lastTable}`;
  const [, redraw] = useReducer((n) => n + 1, 0);
  const [size, setSize] = useState(600);
  const [active, setActive] = useState(-1);
  const wide = width.value;
  const shown = useMemo(() => columns.filter((c) => !c.min || wide >= c.min), [columns, wide]);

  useLayoutEffect(() => {
    const measure = () => setSize(box.current.clientHeight - ROW);
    const observer = new ResizeObserver(measure);
    observer.observe(box.current);
    measure();
    return () => observer.disconnect();
  }, []);
  // A new order begins at its top.
  useEffect(() => {
    box.current.scrollTop = 0;
    setActive(-1);
  }, [sort]);

  const at = { total: source.total, rowHeight: ROW, scrollTop: box.current?.scrollTop ?? 0, viewHeight: size };
  const v = virtual(at);
  useEffect(() => {
    const w = blocks(v.start, v.end);
    source.setWindow(w.start, w.count);
  }, [v.start, v.end, source.setWindow]);

  const move = (to) => {
    const i = Math.max(0, Math.min(source.total - 1, to));
    setActive(i);
    box.current.scrollTop = reveal(i, at);
  };
  const onKeyDown = (e) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: Math.floor(size / ROW) - 1, PageUp: 1 - Math.floor(size / ROW) };
    if (e.target !== box.current || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key in steps) move(active < 0 ? v.start : active + steps[e.key]);
    else if (e.key === 'Home') move(0);
    else if (e.key === 'End') move(source.total - 1);
    else if (e.key === 'Enter' && active >= 0 && href && source.get(active)) go(href(source.get(active)));
    else return;
    e.preventDefault();
  };

  const rows = [];
  for (let i = v.start; i < v.end; i++) {
    rows.push(<Row key={i} id={`${name.current}-${i}`} index={i} row={source.get(i)} {...{ shown, href, rowClass }} active={i === active} />);
  }
  return (
    <div class={fit ? 'grid-frame fit' : 'grid-frame'}>
      <div class="grid" role="grid" tabindex={0} ref={box} aria-label={label} aria-rowcount={source.total + 1}
        aria-colcount={shown.length} aria-busy={source.loading} aria-activedescendant={active >= 0 ? `${name.current}-${active}` : undefined}
        style={{ '--tracks': shown.map((c) => c.width ?? 'minmax(6rem, 1fr)').join(' ') }} onScroll={redraw} onKeyDown={onKeyDown}>
        <div role="rowgroup" class="grid-head">
          <div role="row" class="grid-row" aria-rowindex={1}>
            {shown.map((c) => <Head key={c.key} column={c} {...{ sort, onSort }} />)}
          </div>
        </div>
        <div role="rowgroup" class="grid-body" style={{ height: `${v.height}px` }}>
          <div role="presentation" style={{ transform: `translateY(${v.offset}px)` }}>{rows}</div>
        </div>
      </div>
      {source.total === 0 && <p class="grid-empty">{source.loading ? 'Asking …' : empty}</p>}
    </div>
  );
}

function Head({ column: c, sort, onSort }) {
  const key = c.sort === true ? c.key : c.sort;
  const dir = key && sort === key ? 'ascending' : key && sort === `-${key}` ? 'descending' : undefined;
  return (
    <div role="columnheader" class={c.end ? 'end' : undefined} aria-sort={dir ?? (key && onSort ? 'none' : undefined)} aria-label={c.label}>
      {key && onSort
        ? <button class="sort" onClick={() => onSort(nextSort(key, dir, c))}>{c.title}<span aria-hidden="true">{dir === 'ascending' ? ' ↑' : dir === 'descending' ? ' ↓' : ''}</span></button>
        : c.title}
    </div>
  );
}

// Numbers and times are asked for from the top first; texts from A.
const nextSort = (key, dir, c) => (dir ? (dir === 'ascending' ? `-${key}` : key) : c.end || c.time ? `-${key}` : key);

// Drawn again only when its row changed: while somebody scrolls, most rows are those that were there.
class Row extends Component {
  shouldComponentUpdate(next) {
    const p = this.props;
    return next.row !== p.row || next.index !== p.index || next.active !== p.active || next.shown !== p.shown;
  }
  render({ id, index, row, shown, href, active, rowClass }) {
    const open = (e) => {
      // Links and buttons in a row, and texts that are being marked, are not the row.
      if (!href || e.target.closest('a, button') || String(getSelection())) return;
      go(href(row));
    };
    const classes = ['grid-row', active && 'active', href && 'opens', row && rowClass?.(row)].filter(Boolean).join(' ');
    return (
      <div role="row" id={id} class={classes} aria-rowindex={index + 2} aria-selected={active ? 'true' : undefined} onClick={row ? open : undefined}>
        {shown.map((c) => <div key={c.key} role="gridcell" class={c.end ? 'end' : undefined}>{row ? c.cell(row, index) : ''}</div>)}
      </div>
    );
  }
}
