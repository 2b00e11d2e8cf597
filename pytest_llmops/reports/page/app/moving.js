// Going from row to row by keyboard, and where the focus is.

/** Line of the row that stands so many places after another, or null where the rows end. */
function stepFrom(shown, line, by) {
  const place = shown.findIndex(({ row }) => row.line === line);
  return shown[place + by]?.row.line ?? null;
}

const rowElement = (section, line) => section.current?.querySelector(`#row-${line}`);

const focusRow = (section, line) => rowElement(section, line)?.querySelector("button").focus({ preventScroll: true });

/** Bring a row that was opened from elsewhere, by a link, a key or the back button, to the top of the window. */
function useFocusOnRow(section, open, isShown) {
  useEffect(() => {
    if (!isShown || rowElement(section, open)?.contains(document.activeElement)) return;
    focusRow(section, open);
    rowElement(section, open)?.scrollIntoView({ block: "start" });
  }, [open, isShown]);
}

const isTyping = (target) => target.closest("input, select, textarea");

/** The line that has the focus: of the table, not of what is open below one. */
const focusedLine = (target) => target.closest("tr.entry");

function focusNext(line, by) {
  let next = line;
  do next = by > 0 ? next.nextElementSibling : next.previousElementSibling;
  while (next && !next.classList.contains("entry"));
  next?.querySelector("button").focus();
}

/** j and k go to the next and the previous row, arrows too where a row has the focus; Escape closes the open one. */
function onKey(event, { section, open, step, close }) {
  const by = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  const line = focusedLine(event.target);
  if (isTyping(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && open !== null) {
    focusRow(section, open);
    close();
  } else if (by && (line || !event.key.startsWith("Arrow"))) {
    event.preventDefault();
    if (open !== null) step(by);
    else if (line) focusNext(line, by);
  }
}
