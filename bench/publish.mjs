// The change as a JavaScript action would make it, without retries and without a dependency.
import { appendFileSync } from "node:fs";
const input = (name) => (process.env[`INPUT_${name.toUpperCase()}`] ?? "").trim();

console.log(`::add-mask::${input("token")}`);
const response = await fetch(`${input("api-url")}/v1/agent/${input("agent-id")}/published_version`, {
  method: "PATCH",
  headers: { Authorization: `Bearer ${input("token")}`, "Content-Type": "application/json" },
  body: JSON.stringify({ version_id: input("version-id") }),
});
if (!response.ok) throw new Error(await response.text());
const published = await response.json();
const outputs = Object.entries(published).map(([name, value]) => `${name.replaceAll("_", "-")}=${value ?? ""}\n`);
appendFileSync(process.env.GITHUB_OUTPUT, outputs.join(""));
console.log(`::notice title=Published::Version ${published.published_version_id} is live.`);
