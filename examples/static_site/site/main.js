// Shows what this visit has cost, as the browser counted it.

const rows = document.getElementById("visit");

function row(...cells) {
    const line = rows.insertRow();
    for (const cell of cells) {
        line.insertCell().textContent = cell;
    }
}

addEventListener("load", () => {
    const entries = [
        ...performance.getEntriesByType("navigation"),
        ...performance.getEntriesByType("resource"),
    ];
    for (const entry of entries) {
        row(new URL(entry.name).pathname, entry.decodedBodySize, entry.transferSize);
    }
    const sum = (name) => entries.reduce((all, entry) => all + entry[name], 0);
    row("all", sum("decodedBodySize"), sum("transferSize"));
});
