/** A small line under a figure: how it came to be. It decorates; the figure says the value. */

import css from './Sparkline.module.css';

interface SparklineProps {
  values: readonly number[];
  /** A token, e.g. `--click`. */
  color: string;
}

const WIDTH = 300;
const HEIGHT = 44;

export function Sparkline({ values, color }: SparklineProps) {
  if (values.length < 2) return <div className={css.empty} />;
  const top = Math.max(...values, 1e-9);
  const points = values.map((v, i) => {
    const x = (i / (values.length - 1)) * WIDTH;
    const y = HEIGHT - 2 - (v / top) * (HEIGHT - 6);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg
      className={css.line}
      style={{ color: `var(${color})` }}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden="true"
    >
      <polygon points={`0,${HEIGHT} ${points.join(' ')} ${WIDTH},${HEIGHT}`} className={css.area} />
      <polyline points={points.join(' ')} vectorEffect="non-scaling-stroke" className={css.stroke} />
    </svg>
  );
}
