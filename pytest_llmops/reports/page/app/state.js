// Where the reader is, kept in the address: every view is a link, and the back button works.
//
// Keys: view (overview | rows | trend | about), cell ("<experiment>::<cell id>"), gate (name of a gate), row (line number),
// with (variant that the cell is compared with, or "*baseline", "*nothing"), show, q, sort, slice, page: what the table of rows shows;
// use (path of an experiment): the use case that the overview is opened at.

/** Read the address: an object of strings. A link to a cell is a link to its rows. */
function readState() {
  const state = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  return { view: state.cell ? "rows" : "overview", ...state };
}

/** Address of a state. Keys without a value are left out. */
function linkTo(state) {
  const given = Object.entries(state).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#${new URLSearchParams(given)}`;
}

/** The state, and a function that changes some of its keys; with `replace`, without a step in the history. */
function useAddress() {
  const [state, setState] = useState(readState);
  useEffect(() => {
    const follow = () => setState(readState());
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const change = (changes, { replace = false } = {}) => {
    const link = linkTo({ ...readState(), ...changes });
    if (!replace) location.hash = link;
    else {
      history.replaceState(null, "", link);
      setState(readState());
    }
  };
  return [state, change];
}
