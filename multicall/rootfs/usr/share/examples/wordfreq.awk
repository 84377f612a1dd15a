#!/bin/awk -f
# The ten most frequent words of the input: awk -f wordfreq.awk FILE
{
    $0 = tolower($0)
    gsub(/[^a-z]+/, " ")
    for (i = 1; i <= NF; i++)
        count[$i]++
}
END {
    for (word in count)
        print count[word], word | "sort -k1,1nr -k2,2 | head -n 10"
}
