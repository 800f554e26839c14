/** Looks at what a site keeps in the browser, and damages it. */

const answerOf = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error("the request failed"));
  });

/** Flips a bit in the last byte of each model in this database. @returns how many */
export async function damageModels(name: string): Promise<number> {
  const database = await answerOf(indexedDB.open(name));
  try {
    const models = database.transaction("models", "readwrite").objectStore("models");
    const stored = (await answerOf(models.getAll())) as { frame: Uint8Array }[];
    for (const model of stored) {
      const last = model.frame.length - 1;
      model.frame[last] = (model.frame[last] ?? 0) ^ 1;
      await answerOf(models.put(model));
    }
    return stored.length;
  } finally {
    database.close();
  }
}

/** How much there is of what a site can keep: records of each database, entries of storages, caches. */
export async function listKept(): Promise<Record<string, number>> {
  const kept: Record<string, number> = {
    localStorage: localStorage.length,
    sessionStorage: sessionStorage.length,
    caches: (await caches.keys()).length,
    cookies: document.cookie === "" ? 0 : document.cookie.split(";").length,
  };
  for (const { name = "" } of await indexedDB.databases()) {
    const database = await answerOf(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const count = database.transaction(store).objectStore(store).count();
      kept[`${name} ${store}`] = await answerOf(count);
    }
    database.close();
  }
  return kept;
}
