"use strict";
/* Without this script the page is whole; with it tables sort, filter and can be saved as CSV. */
(function () {
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function valueOf(cell) {
    return cell.dataset.value === undefined ? cell.textContent.trim() : cell.dataset.value;
  }

  // Of an interval its lower end.
  function numberOf(text) {
    const interval = /^([+-]?[\d.]+) to [+-]?[\d.]+$/.exec(text);
    return Number(interval ? interval[1] : text);
  }

  // Numbers by size, words by letter, blanks last whichever way it is sorted.
  function compare(a, b, direction) {
    if (a === "" || b === "") return (a === "") - (b === "");
    const x = numberOf(a), y = numberOf(b);
    return direction * (isNaN(x) || isNaN(y) ? collator.compare(a, b) : x - y);
  }

  function sortBy(table, index, direction) {
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [valueOf(row.cells[index]), row]);
    rows.sort((a, b) => compare(a[0], b[0], direction));
    body.append(...rows.map((pair) => pair[1]));
  }

  function makeSortable(table) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sortBy(table, index, down ? -1 : 1);
      });
    });
  }

  // Spreadsheets run a text that starts like a formula; a quote before it stops that.
  function field(text) {
    const safe = /^[=+@\t\r-]/.test(text) && isNaN(numberOf(text)) ? "'" + text : text;
    return /[",\n\r]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
  }

  function toCsv(table) {
    const heads = Array.from(table.tHead.rows[0].cells, (cell) => cell.textContent.trim());
    const rows = Array.from(table.tBodies[0].rows).filter((row) => !row.hidden);
    const lines = [heads, ...rows.map((row) => Array.from(row.cells, valueOf))];
    return lines.map((line) => line.map(field).join(",")).join("\r\n") + "\r\n";
  }

  function save(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff" + text], { type: "text/csv" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function addTools(table) {
    const caption = table.caption.textContent;
    const rows = Array.from(table.tBodies[0].rows);
    const tools = document.createElement("div");
    tools.className = "tools";
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Save as CSV";
    button.setAttribute("aria-label", "Save as CSV: " + caption);
    button.addEventListener("click", () => save(table.id + ".csv", toCsv(table)));
    if (rows.length > 3) {
      const label = document.createElement("label");
      label.append("Filter");
      const input = document.createElement("input");
      input.type = "search";
      input.setAttribute("aria-label", "Filter: " + caption);
      const status = document.createElement("span");
      status.setAttribute("role", "status");
      status.className = "muted";
      label.append(input);
      tools.append(label, button, status);
      let texts;
      input.addEventListener("input", () => {
        texts = texts || rows.map((row) =>
          Array.from(row.cells, (cell) => cell.textContent).join(" ").toLowerCase());
        const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
        let shown = 0;
        rows.forEach((row, index) => {
          row.hidden = !wanted.every((word) => texts[index].includes(word));
          shown += !row.hidden;
        });
        status.textContent = wanted.length ? shown + " of " + rows.length + " rows" : "";
      });
    } else {
      tools.append(button);
    }
    table.closest(".table").prepend(tools);
  }

  document.querySelectorAll("table.data").forEach((table) => {
    makeSortable(table);
    addTools(table);
  });

  // A link to something folded away opens it.
  function openTarget() {
    const target = document.getElementById(location.hash.slice(1));
    const folded = target && target.closest("details");
    if (folded) folded.open = true;
  }
  addEventListener("hashchange", openTarget);
  // On paper nothing can be unfolded. Hundreds of runs stay away: they are in runs.csv.
  addEventListener("beforeprint", () =>
    document.querySelectorAll("details:not(.long)").forEach((folded) => { folded.open = true; }));
  openTarget();
})();
