/** The rows of README.md, compared with the tests that are registered. */
import { assert, assertEquals, assertMatch, fail } from "@std/assert";
import { registeredNames } from "./_rows.ts";

/** How many rows there are: 153 of version 3.14 and two of 3.15. */
const ROWS = 155;

const SUBJECTS: Record<string, string> = {
  threads: "ThreadPoolExecutor",
  processes: "ProcessPoolExecutor",
  futures: "Future",
};

interface Line {
  row: number;
  /** The upstream method, without its class. */
  method: string;
  /** What the test proves; `undefined` where the row is not portable. */
  what?: string;
  subjects: string[];
  remarks: string;
}

/** Reads entries such as "- 4 `ExecutorTest.test_map` (threads, processes): what it proves – a remark". */
function readTable(): Line[] {
  const text = Deno.readTextFileSync(new URL("./README.md", import.meta.url)).replaceAll("\r\n", "\n");
  const [, list] = text.split("\n## The rows\n");
  const entries = list.replaceAll("\n  ", " ").split("\n").filter((line) => line.startsWith("- "));
  return entries.map((entry) => {
    const [, row, method, kinds, rest] = /^- (\d+) `\w+\.(test_\w+)`(?: \(([a-z, ]+)\))?: (.+)$/.exec(entry) ??
      fail(`Cannot read as a row: ${entry}`);
    const [what, remarks = ""] = rest.split(" – ");
    return {
      row: Number(row),
      method,
      what: kinds === undefined ? undefined : what,
      subjects: kinds?.split(", ").map((kind) => SUBJECTS[kind] ?? `no such kind: ${kind}`) ?? [],
      remarks: kinds === undefined ? rest : remarks,
    };
  });
}

/** Registers the comparison. */
export function tableTest(): void {
  Deno.test("tests/cpython/README.md names each row, and exactly the tests that there are", () => {
    const table = readTable();
    assertEquals([...new Set(table.map(({ row }) => row))], Array.from({ length: ROWS }, (_, i) => i + 1));
    const listed = new Set<string>();
    for (const { row, method, what, subjects, remarks } of table) {
      if (what === undefined) {
        assertMatch(remarks, /^not portable: ./, `row ${row} says why`);
        assertEquals(table.filter((line) => line.row === row).length, 1, `row ${row} is one line`);
        continue;
      }
      assert(subjects.length > 0, `row ${row} names a kind of executor`);
      for (const subject of subjects) listed.add(`${subject}: ${method}: ${what}`);
    }
    const registered = registeredNames();
    assertEquals([...new Set(registered)].length, registered.length, "two tests have one name");
    assertEquals([...listed].sort(), [...registered].sort());
    const portable = new Set(table.filter(({ what }) => what !== undefined).map(({ row }) => row)).size;
    const intro = Deno.readTextFileSync(new URL("./README.md", import.meta.url)).split("## The rows")[0];
    assertMatch(intro, new RegExp(`\\b${portable} of ${ROWS}\\b`));
  });
}
