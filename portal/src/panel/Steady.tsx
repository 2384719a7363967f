import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

/** A part that becomes shorter by itself, when work ends or an answer comes: it keeps its height, and what stands below does not jump. */
export function Steady(props: { readonly children: ComponentChildren }): JSX.Element {
  const part = useRef<HTMLDivElement>(null);
  const keep = (): void => {
    const element = part.current;
    if (element !== null) element.style.minHeight = `${String(element.offsetHeight)}px`;
  };
  useLayoutEffect(keep);
  useEffect(() => {
    // In another window it has another height.
    const anew = (): void => {
      if (part.current !== null) part.current.style.minHeight = "";
      keep();
    };
    addEventListener("resize", anew);
    return () => removeEventListener("resize", anew);
  }, []);
  return (
    <div class="stack" ref={part}>
      {props.children}
    </div>
  );
}
