// What Chromium's trace viewer makes of a trace: its warnings, and a line for each track, by its number.
//     node trace.js trace_viewer_full.html x.json
// The viewer is one page. Of its script the parts that draw need a browser, and fail here; those that read do not.
const fs = require("fs"), vm = require("vm");
Object.defineProperty(globalThis, "window", { get: () => globalThis, set() {} });
const page = fs.readFileSync(process.argv[2], "utf8");
for (const part of page.match(/<script>([^]*)<\/script>/)[1].split(/(?='use strict';)/))
    try { vm.runInThisContext(part); } catch (error) {}
const model = new tr.Model();
new tr.importer.Import(model, new tr.importer.ImportOptions()).importTraces([fs.readFileSync(process.argv[3], "utf8")]);
for (const warning of model.importWarnings)
    console.log("warning:", warning.message);
for (const process of Object.values(model.processes))
    for (const track of Object.values(process.threads).sort((a, b) => a.tid - b.tid))
        console.log(`${track.name}:`, ...track.sliceGroup.slices.map(
            (slice) => slice.title + (slice.didNotFinish ? " unfinished" : "")));
