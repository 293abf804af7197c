const by = 3;

export const treble = (n: number): number => n * by;
