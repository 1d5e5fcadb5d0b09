/** Modules that are loaded on first use. */
import { expect, it } from "vitest";
import { lazy } from "../../src/client/lazy.ts";

it("loads a module once for all uses that wait for it", async () => {
  const module = counted(async () => "module");
  const use = lazy(module.load);
  const uses = [1, 2, 3].map((number) => use((loaded) => `${loaded} ${number}`));
  await expect(Promise.all(uses)).resolves.toEqual(["module 1", "module 2", "module 3"]);
  expect(module.loads).toBe(1);
});

it("lets no use wait once the module is here", async () => {
  const use = lazy(async () => "module");
  await use(() => {});
  expect(use((loaded) => loaded)).toBe("module");
});

it("tells all that wait of a failure, and tries again for the next", async () => {
  const module = counted(async (attempt) => {
    if (attempt === 1) throw new Error("not found");
    return "module";
  });
  const use = lazy(module.load);
  const [first, second] = [use(() => {}), use(() => {})];
  await expect(first).rejects.toThrow("not found");
  await expect(second).rejects.toThrow("not found");
  expect(await use((loaded) => loaded)).toBe("module");
  expect(module.loads).toBe(2);
});

function counted(load: (attempt: number) => Promise<string>) {
  const module = {
    loads: 0,
    load: () => load(++module.loads),
  };
  return module;
}
