// SPDX-FileCopyrightText: 2026 the hvpt authors
// SPDX-License-Identifier: MIT
// The page in a real browser: the same answers as the command on every input, with the keyboard, in the dark, and on a phone.
// usage: node page.js PAGE HVPT CHROMIUM INPUTS.json [SCREENSHOT.png]; speaks TAP. Skips where playwright-core is missing.
"use strict";
const { spawnSync } = require("child_process");
const fs = require("fs");
const path = require("path");

let playwright;
try {
  playwright = require(process.env.HVPT_PLAYWRIGHT || "playwright-core");
} catch {
  console.log("1..0 # SKIP playwright-core is not installed (npm install playwright-core; HVPT_PLAYWRIGHT says where)");
  process.exit(0);
}
const [page_path, hvpt, chromium, inputs_path, screenshot] = process.argv.slice(2);
const CORES = ["vmcs", "exit", "entry", "caps"];
const cases = [];
const test = (name, run) => cases.push([name, run]);
const must = (holds, why) => { if (!holds) throw new Error(why); };

/* What the command says: status, JSON, text. */
function command(core, text, json) {
  const args = core === 0 ? ["vmcs", ...(json ? ["--json"] : []), "-"] : [CORES[core], ...(json ? ["--json"] : []), "-"];
  const result = spawnSync(hvpt, args, { input: text, encoding: "utf8", maxBuffer: 1 << 26 });
  return { status: result.status, text: result.stdout, error: result.stderr.replace(/^hvpt: standard input(:\d+:\d+)?: /, "").trim() };
}

async function main() {
  const inputs = JSON.parse(fs.readFileSync(inputs_path, "utf8"));
  const browser = await playwright.chromium.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"] });
  const url = "file://" + path.resolve(page_path);
  const context = await browser.newContext({ offline: true });
  const page = await context.newPage();
  const problems = [];
  page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("request", (request) => { if (!request.url().startsWith("file:") && !request.url().startsWith("data:")) problems.push("asked for " + request.url()); });
  await page.goto(url);

  for (const { name, core, text } of inputs)
    test(`the page and the command agree: ${CORES[core]}, ${name}`, async () => {
      for (const json of [true, false]) {
        const here = await page.evaluate(([c, t, j]) => window.hvptAsk(c, t, j), [core, text, json]);
        const there = command(core, text, json);
        must(here.status === there.status, `status ${here.status} here, ${there.status} there`);
        if (here.status === 2) must(there.error.includes(here.error.replace(/^line \d+, column \d+: /, "")), `"${here.error}" here, "${there.error}" there`);
        else must(here.text === there.text, `the texts differ (json: ${json})`);
      }
    });
  const dump = inputs.find((input) => input.core === 0 && input.rule);
  test("with the keyboard alone, a dump is explained and its value marked", async () => {
    await page.goto(url);
    await page.locator("#input").fill(dump.text);
    await page.locator("#input").press("Control+Enter");
    await page.waitForSelector("#answer .finding");
    must((await page.locator("#answer .finding b").first().textContent()) === dump.rule, "another rule than " + dump.rule);
    must(await page.locator("#answer h3").first().textContent() === "This is why", "it is not said to be why");
    const mark = await page.locator("#answer mark").first();
    must((await mark.getAttribute("title")) === dump.rule, "no mark");
    must((await mark.textContent()).includes(dump.value), `marked: ${await mark.textContent()}`);
    must((await page.evaluate(() => document.activeElement.id)) === "answer", "the focus is not on the answer");
    must((await page.locator("#answer .finding a").first().getAttribute("href")).includes("-rules.md#"), "no link to the rule's page");
  });
  test("tabs reach every control, and each has a name", async () => {
    await page.goto(url);
    const seen = [];
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press("Tab");
      seen.push(await page.evaluate(() => document.activeElement.id || document.activeElement.name || ""));
    }
    for (const id of ["core", "input", "ask", "clear"]) must(seen.includes(id), `${id} is not reached: ${seen}`);
    const nameless = await page.evaluate(() => [...document.querySelectorAll("input,textarea,button,section,svg")].filter((node) =>
      !node.labels?.length && !node.getAttribute("aria-label") && !node.textContent.trim()).map((node) => node.outerHTML.slice(0, 80)));
    must(nameless.length === 0, `without a name: ${nameless}`);
    must((await page.locator("#answer").getAttribute("aria-live")) === "polite", "the answer is not announced");
  });
  test("an entry's bits are a picture with words beside it", async () => {
    const entry = inputs.find((input) => input.core === 2);
    await page.goto(url);
    await page.locator("input[name=core][value='2']").check();
    await page.locator("#input").fill(entry.text);
    await page.locator("#ask").click();
    await page.waitForSelector("#answer svg");
    must((await page.locator("#answer svg rect").count()) === 64, "not 64 bits");
    must((await page.locator("#answer svg").getAttribute("aria-label")).length > 10, "the picture has no words");
    must((await page.locator("#answer table tr").count()) > 3, "no table");
  });
  test("a text that is no dump is said to be none", async () => {
    await page.goto(url);
    await page.locator("#input").fill("hello");
    await page.locator("#ask").click();
    await page.waitForSelector("#answer [role=alert]");
    must((await page.locator("#answer [role=alert]").textContent()).includes("no dump"), "it is not said");
  });
  test("hostile text stays text", async () => {
    await page.goto(url);
    await page.locator("#input").fill("<img src=x onerror=\"window.bad=1\"><script>window.bad=1</script>\n" + dump.text);
    await page.locator("#ask").click();
    await page.waitForSelector("#answer .finding");
    must(!(await page.evaluate(() => window.bad)), "it ran");
    must((await page.locator("#answer img").count()) === 0, "it became an element");
  });
  for (const [name, options] of [["dark", { colorScheme: "dark" }], ["a phone", { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true }]])
    test(`${name}: readable, and nothing wider than the screen`, async () => {
      const other = await browser.newContext({ offline: true, ...options });
      const small = await other.newPage();
      await small.goto(url);
      await small.locator("#input").fill(dump.text);
      await small.locator("#ask").click();
      await small.waitForSelector("#answer .finding");
      must(await small.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), "the page is wider than the screen");
      const contrast = await small.evaluate(() => {
        const light = (color) => { const [r, g, b] = color.match(/[\d.]+/g).map((v) => { v /= 255; return v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4; }); return .2126 * r + .7152 * g + .0722 * b; };
        const back = light(getComputedStyle(document.body).backgroundColor);
        return [...document.querySelectorAll("p, .finding b, .soft, a")].map((node) => { const l = light(getComputedStyle(node).color); return (Math.max(l, back) + .05) / (Math.min(l, back) + .05); }).reduce((a, b) => Math.min(a, b));
      });
      must(contrast >= 4.5, `contrast of only ${contrast.toFixed(2)}`);
      await other.close();
    });
  if (screenshot)
    test("a picture of the page is taken", async () => {
      const shot = await browser.newContext({ offline: true, viewport: { width: 1000, height: 900 } });
      const shown = await shot.newPage();
      await shown.goto(url);
      await shown.locator("#input").fill(dump.text);
      await shown.locator("#ask").click();
      await shown.waitForSelector("#answer .finding");
      await shown.evaluate(() => window.scrollTo(0, 0));
      await shown.screenshot({ path: screenshot, fullPage: true });
      await shot.close();
    });
  test("nothing was asked of a network, and nothing failed in the background", async () => must(problems.length === 0, problems.join("; ")));

  console.log("TAP version 13");
  console.log(`1..${cases.length}`);
  let number = 0, failed = 0;
  for (const [name, run] of cases) {
    number++;
    try {
      await run();
      console.log(`ok ${number} - ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok ${number} - ${name}\n  ---\n  ${String(error.message).split("\n").join("\n  ")}\n  ...`);
    }
  }
  await browser.close();
  process.exit(failed ? 1 : 0);
}

main().catch((error) => { console.log(`Bail out! ${error.message}`); process.exit(1); });
