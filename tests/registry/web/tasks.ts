const tenant = new URL(import.meta.url).searchParams.get("tenant");

export function greet(name: string): string {
  return `${name} of ${tenant}`;
}
