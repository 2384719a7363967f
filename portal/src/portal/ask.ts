// Questions that a flow asks while it runs: the flow waits for a promise, the page shows the question and answers it.

import { useEffect, useRef, useState } from "preact/hooks";

export interface Question<Q, A> {
  readonly about: Q;
  readonly answer: (answer: A) => void;
}

/** A place for one open question. Leaving the page answers it with `whenLeft`. */
export function useAsk<Q, A>(whenLeft: A): [question: Question<Q, A> | null, ask: (about: Q) => Promise<A>] {
  const [question, setQuestion] = useState<Question<Q, A> | null>(null);
  const open = useRef<((answer: A) => void) | null>(null);
  useEffect(() => () => open.current?.(whenLeft), []);
  const ask = (about: Q): Promise<A> =>
    new Promise((resolve) => {
      const answer = (given: A): void => {
        open.current = null;
        setQuestion(null);
        resolve(given);
      };
      open.current = answer;
      setQuestion({ about, answer });
    });
  return [question, ask];
}
