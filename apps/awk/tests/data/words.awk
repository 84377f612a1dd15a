# counts words
{ for (i = 1; i <= NF; i++) n[tolower($i)]++ }
END { for (w in n) print n[w], w | "sort -k1,1nr -k2"; close("sort -k1,1nr -k2") }
