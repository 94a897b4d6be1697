#!/bin/sh
# Makes the environment of the peers in benchmarks/.peers (or in the folder named as argument).
# Python 3.11 to 3.13. torch comes first, by itself, so that mfglib's own requirement is met by it.
set -eu
folder=${1:-"$(dirname "$0")/.peers"}
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --upgrade pip
"$folder/bin/python" -m pip install --quiet "torch==2.13.0"
"$folder/bin/python" -m pip install --quiet "mfglib==0.3.0" "open_spiel==2.0.2" "bench-mfg-suite==0.1.3" "zuko==1.6.0" "torchsde==0.2.6"
# equinox, so that stable-baselines3 can train on nashfield's Gymnasium adapter (src is on its path).
"$folder/bin/python" -m pip install --quiet "stable-baselines3==2.9.2" "gymnasium==1.4.0" "equinox>=0.13,<0.15"
"$folder/bin/python" -c "import benchmfg, mfglib, pyspiel, stable_baselines3, torchsde, zuko; print('peers ready:', mfglib.__version__)"
