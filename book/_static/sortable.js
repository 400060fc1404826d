// Tables of class embreg-sortable are sorted by a click on a head, or by its key; a third click restores the order.
"use strict";
for (const table of document.querySelectorAll("table.embreg-sortable")) {
  const body = table.tBodies[0];
  const first = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => row.cells[column].innerText.trim();
  const number = (text) => { const found = text.match(/^[−-]?\d+(\.\d+)?/); return found ? Number(found[0].replace("−", "-")) : NaN; };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "embreg-sort";
    button.append(...head.childNodes);
    head.append(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
      heads.forEach((other) => other.setAttribute("aria-sort", "none"));
      head.setAttribute("aria-sort", next);
      const sign = next === "descending" ? -1 : 1;
      const sorted = next === "none" ? first : [...first].sort((a, b) => {
        const [x, y] = [key(a, column), key(b, column)];
        const [m, n] = [number(x), number(y)];
        return sign * (Number.isNaN(m) || Number.isNaN(n) ? x.localeCompare(y) : m - n);
      });
      body.append(...sorted);
    });
  });
}
