#!/bin/sh
# Make a model as the bundled one was made: from the root of the repository, sh recipes/mini/run.sh MANIFEST
# MANIFEST is the manifest.jsonl of the recordings that labels.tsv, duplicates.tsv and held_out.txt describe (ESC-50,
# noise-of-life, Berklee, ...). The bundled model took 2.9 hours on 2 cores. What its stages share with these and what
# is not known any more stands in 1.yaml to 4.yaml; this script as a whole was not run. Run it again to resume.
set -eu
manifest=${1:?"usage: sh recipes/mini/run.sh MANIFEST"}
recipes=recipes/mini

mellow base fetch base
mellow data compose "$manifest" data/mini --workers 2 \
    --labels $recipes/labels.tsv --held-out $recipes/held_out.txt --duplicates $recipes/duplicates.tsv
for stage in 1 2 3 4; do
    mellow train $recipes/$stage.yaml
done
python scripts/measure_development.py data/mini --model runs/mini/4/model
