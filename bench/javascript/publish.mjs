// The change as a JavaScript action would make it, without a single dependency: inputs, PATCH with retries, outputs.
import { appendFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const input = (name) => (process.env[`INPUT_${name.toUpperCase()}`] ?? "").trim();

async function publish() {
  const url = `${input("api-url")}/v1/agent/${input("agent-id")}/published_version`;
  const request = {
    method: "PATCH",
    headers: { Authorization: `Bearer ${input("token")}`, "Content-Type": "application/json" },
    body: JSON.stringify({ version_id: input("version-id") }),
    redirect: "error",
  };
  for (let retry = 0; ; retry++) {
    let response, body, failure;
    try {
      response = await fetch(url, { ...request, signal: AbortSignal.timeout(30_000) });
      body = await response.json();
      if (response.ok) return body;
    } catch (error) {
      failure = error;
    }
    const worthIt = !response || response.status === 429 || response.status >= 500;
    if (!worthIt || retry === 4) throw failure ?? new Error(`${body.error_code}: ${body.message}`);
    await sleep(1000 * 2 ** retry * (0.5 + Math.random() / 2));
  }
}

console.log(`::add-mask::${input("token")}`);
try {
  const published = await publish();
  const outputs = Object.entries(published).map(([name, value]) => `${name.replaceAll("_", "-")}=${value ?? ""}\n`);
  appendFileSync(process.env.GITHUB_OUTPUT, outputs.join(""));
  console.log(`::notice title=Published::Version ${published.published_version_id} is live.`);
} catch (error) {
  console.log(`::error::${error.message}`);
  process.exitCode = 1;
}
