/** The tenants. Who asks for which shop would come from a session; here it is in the path. */
export const SHOPS = [
  { id: "north", name: "North Pier" },
  { id: "south", name: "South Bank" },
] as const;
