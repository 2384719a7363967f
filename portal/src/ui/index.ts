// The components of both pages.

export * from "./blocks";
export * from "./Button";
export * from "./CopyButton";
export * from "./Dialog";
export * from "./Field";
export * from "./FileDrop";
export * from "./files";
export * from "./focus";
export * from "./Icon";
export * from "./KeyView";
export * from "./Menu";
export * from "./Qr";
export * from "./router";
export * from "./Shell";
export * from "./Table";
export * from "./Tabs";
export * from "./Trouble";
