/** Listeners by the name of their event. */
export class Emitter<E> {
  #listeners: { [K in keyof E]?: Set<(event: E[K]) => void> } = {}

  /** Adds a listener; gives the function that removes it. */
  on<K extends keyof E>(type: K, listener: (event: E[K]) => void): () => void {
    const set = (this.#listeners[type] ??= new Set())
    set.add(listener)
    return () => void set.delete(listener)
  }

  has(type: keyof E): boolean {
    return !!this.#listeners[type]?.size
  }

  /** Calls the listeners in the order in which they came; whether there was one. */
  emit<K extends keyof E>(type: K, event: E[K]): boolean {
    const listeners = [...(this.#listeners[type] ?? [])]
    for (const listener of listeners) {
      try {
        listener(event)
      } catch (error) {
        // It is the listener's fault and must not stop the socket; the program's own net catches it.
        queueMicrotask(() => {
          throw error
        })
      }
    }
    return listeners.length > 0
  }
}

/** A promise and its ends. */
export interface Deferred<V> {
  promise: Promise<V>
  resolve(value: V | Promise<V>): void
  reject(error: unknown): void
}

/** `quiet`: a failure that nobody waits for is no unhandled rejection, since an event tells it too. */
export function deferred<V>(quiet?: boolean): Deferred<V> {
  const made = {} as Deferred<V>
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  if (quiet) made.promise.catch(() => {})
  return made
}
