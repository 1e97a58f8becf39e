"use strict";
// The browser of traces. Texts enter the page as text nodes only, never as markup.
(() => {
  const data = JSON.parse(document.getElementById("trace-data").textContent);
  const list = document.getElementById("tasks");
  if (!data.tasks || !list) return;
  const PAGE = 20;
  const search = document.getElementById("search");
  const status = document.getElementById("found");
  const more = document.getElementById("more");
  let found = [];
  let shown = 0;

  const make = (tag, name, text) => {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  };

  // All that a search looks through, made once per task and only when someone searches.
  const words = (task) => {
    task.words ??= [task.key, task.prompt, task.gold, ...task.samples.flat().flatMap((s) => [s[1], ...s[2].map((d) => d[1])])]
      .join("\n").toLowerCase();
    return task.words;
  };

  const sampleNode = ([outcome, evidence, draws]) => {
    const node = make("div", "sample");
    const head = make("p", "verdict");
    head.append(make("strong", outcome, outcome.toUpperCase()), ` ${evidence}`);
    node.append(head);
    const roles = new Set(draws.map(([role]) => role)).size > 1;
    for (const [role, text, stop, tokens, chosen, depth, scores] of draws) {
      const part = make("div", chosen && draws.length > 1 ? "chosen" : "");
      part.style.marginInlineStart = `${1.2 * depth}em`;  // what went on from a part stands under it
      part.append(make("pre", "", text));
      const marks = [roles ? role : "", draws.length > 1 && chosen ? "chosen as the answer" : ""].filter(Boolean).join(", ");
      part.append(make("p", "quiet", `${marks && `${marks}: `}${tokens} tokens, stopped by: ${stop}${scores ? `; ${scores}` : ""}`));
      node.append(part);
    }
    return node;
  };

  const taskNode = (task) => {
    const node = make("details", "task");
    const head = make("summary");
    const share = task.passed.map(([passed, n]) => `${passed}/${n}`).join(data.between);
    head.append(make("span", "share", share), make("span", "prompt", task.prompt));
    node.append(head);
    node.addEventListener("toggle", () => {
      if (!node.open || node.children.length > 1) return;
      const body = make("div", "open");
      const facts = make("p", "facts");
      facts.append(make("b", "", "prompt "), task.prompt);
      const gold = make("p", "facts");
      gold.append(make("b", "", "gold "), task.gold, make("span", "quiet", `   task ${task.key}`));
      body.append(facts, gold);
      const columns = make("div", "columns");
      data.columns.forEach((name, i) => {
        const column = make("div");
        const hidden = task.passed[i][1] - task.samples[i].length;
        column.append(make("h3", "", `${name}: ${task.passed[i][0]} of ${task.passed[i][1]} passed`));
        column.append(...task.samples[i].map(sampleNode));
        if (hidden) column.append(make("p", "quiet", `${hidden} more samples are in the run's folder`));
        columns.append(column);
      });
      body.append(columns);
      node.append(body);
    });
    return node;
  };

  const showMore = () => {
    const next = found.slice(shown, shown + PAGE);
    list.append(...next.map(taskNode));
    shown += next.length;
    status.textContent = found.length ? `${shown} of ${found.length} tasks that fit` : "no task fits; choose another group or search for less";
    more.hidden = shown >= found.length;
  };

  const refresh = () => {
    const group = document.querySelector("input[name=group]:checked").value;
    const text = search.value.trim().toLowerCase();
    found = data.tasks.filter((t) => (group === "all" || t.group === group) && (!text || words(t).includes(text)));
    shown = 0;
    list.replaceChildren();
    showMore();
  };

  // A task named elsewhere in the page: found by its key, opened and brought into sight.
  const goTo = (key) => {
    document.querySelector("input[name=group][value=all]").checked = true;
    search.value = key;
    refresh();
    const node = list.firstElementChild;
    if (!node) return;
    node.open = true;
    node.scrollIntoView();
    node.querySelector("summary").focus({ preventScroll: true });
  };
  document.querySelectorAll("a[data-task]").forEach((a) => a.addEventListener("click", (e) => {
    e.preventDefault();
    goTo(a.dataset.task);
  }));

  let waiting;
  search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 150); });
  document.querySelectorAll("input[name=group]").forEach((i) => i.addEventListener("change", refresh));
  more.addEventListener("click", showMore);
  refresh();
})();
