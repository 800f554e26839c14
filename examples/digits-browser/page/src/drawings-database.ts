/** The drawings in the page's own database: page and Worker read the same. */

export interface Drawing {
  /** Given by the database, in the order of drawing. */
  readonly id: number;
  /** The digit that the visitor says it is. */
  readonly label: number;
  /** 28 x 28 as the model sees it, 0 is paper and 255 ink. */
  readonly pixels: Uint8Array<ArrayBuffer>;
}

const NAME = "digits-browser:drawings";
const STORE = "drawings";

/** All of them, oldest first. @throws DOMException where the browser keeps no data */
export async function readDrawings(): Promise<readonly Drawing[]> {
  return withStore("readonly", (store) => store.getAll() as IDBRequest<Drawing[]>);
}

/** @returns the id it was given */
export async function saveDrawing(drawing: Omit<Drawing, "id">): Promise<number> {
  return withStore("readwrite", (store) => store.add(drawing) as IDBRequest<number>);
}

export async function deleteDrawing(id: number): Promise<void> {
  await withStore("readwrite", (store) => store.delete(id));
}

export async function deleteAllDrawings(): Promise<void> {
  await withStore("readwrite", (store) => store.clear());
}

async function withStore<T>(
  mode: IDBTransactionMode,
  ask: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const opening = indexedDB.open(NAME, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
  };
  const database = await settled(opening);
  try {
    const transaction = database.transaction(STORE, mode);
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(faultOf(transaction));
    });
    const [answer] = await Promise.all([settled(ask(transaction.objectStore(STORE))), done]);
    return answer;
  } finally {
    database.close();
  }
}

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(faultOf(request));
  });
}

const faultOf = ({ error }: { readonly error: DOMException | null }) =>
  error ?? new DOMException("the database gave up", "AbortError");
