// Writes each dashboard as a TypeScript constant of Grafana's own types, for `tsc` to check: unknown
// keys, wrong values and missing fields of the dashboard, its panels, their options and field configs.
//
//   node typed.mjs DASHBOARDS OUT
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

const [from, to] = process.argv.slice(2);
mkdirSync(to, { recursive: true });

// A panel's type, and the file of its types in @grafana/schema; those with field options of their own.
const PANELS = {
  bargauge: "bargauge/panelcfg/x/BarGaugePanelCfg_types.gen",
  piechart: "piechart/panelcfg/x/PieChartPanelCfg_types.gen",
  stat: "stat/panelcfg/x/StatPanelCfg_types.gen",
  table: "table/panelcfg/x/TablePanelCfg_types.gen",
  text: "text/panelcfg/x/TextPanelCfg_types.gen",
  timeseries: "timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
};
const CUSTOM = ["piechart", "table", "timeseries"];
// Of annotations these belong to the data source's query, which the dashboard's type does not know.
const QUERY = ["expr", "titleFormat", "textFormat", "step"];

const head = `import type { Dashboard } from "@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen";
${Object.entries(PANELS).map(([type, file]) => `import type * as ${type} from "@grafana/schema/dist/esm/raw/composable/${file}";`).join("\n")}

// JSON holds the values of string enums, not their names. An open map stays open.
type Plain<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
// Grafana fills in what options leave out; it ignores what it does not know, and so a slip.
type Loose<T> = T extends string ? \`\${T}\` : T extends object ? { [K in keyof T]?: Loose<T[K]> } : T;
`;

for (const file of readdirSync(from).filter((name) => name.endsWith(".json"))) {
  const dashboard = JSON.parse(readFileSync(join(from, file), "utf8"));
  const ids = new Set();
  let text = head;
  for (const panel of dashboard.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])])) {
    if (ids.has(panel.id)) throw new Error(`${file}: two panels have the id ${panel.id}`);
    ids.add(panel.id);
    if (panel.type === "row") continue;
    if (!(panel.type in PANELS)) throw new Error(`${file}: no types are known for a panel of type ${panel.type}`);
    const name = `panel${panel.id}`;
    text += `\n// ${panel.title}\nexport const ${name}_options: Loose<${panel.type}.Options> = ${JSON.stringify(panel.options, null, 1)};\n`;
    const custom = panel.fieldConfig?.defaults?.custom;
    if (custom && CUSTOM.includes(panel.type)) {
      text += `export const ${name}_custom: Loose<${panel.type}.FieldConfig> = ${JSON.stringify(custom, null, 1)};\n`;
    }
  }
  for (const annotation of dashboard.annotations.list) for (const key of QUERY) delete annotation[key];
  text += `\nexport const dashboard: Plain<Dashboard> = ${JSON.stringify(dashboard, null, 1)};\n`;
  writeFileSync(join(to, `${basename(file, ".json")}.ts`), text);
}
writeFileSync(
  join(to, "tsconfig.json"),
  JSON.stringify({
    compilerOptions: { module: "esnext", moduleResolution: "bundler", strict: true, noEmit: true, skipLibCheck: true, types: [] },
    include: ["*.ts"],
  }),
);
