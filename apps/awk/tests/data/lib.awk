function max(a, b) { return a > b ? a : b }
function join(a, n, sep,   i, s) {
  for (i = 1; i <= n; i++)
    s = s (i > 1 ? sep : "") a[i]
  return s
}
