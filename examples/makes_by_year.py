"""Decodes a CSV of VINs and plots the makes by year. Beside a running service, with pandas and matplotlib:

python3 examples/makes_by_year.py examples/vins.csv

It writes decoded.csv and makes-by-year.png. Editors for notebooks run it cell by cell (# %%).
"""
# %% Settings
import os
import sys
import time
import urllib.error
import urllib.request

import matplotlib.pyplot
import pandas

ADDRESS = os.environ.get("ADDRESS", "http://127.0.0.1:8080")
TOKEN = os.environ.get("TOKEN", "")
VINS = sys.argv[1] if len(sys.argv) == 2 else "examples/vins.csv"

# %% Decode: the service adds columns to the table
def decode(table):
    """The decoded table, as CSV. A call that the service refuses is repeated when the service says so."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "text/csv"}
    request = urllib.request.Request(f"{ADDRESS}/decode", data=table, headers=headers)
    for attempt in range(5):
        try:
            return urllib.request.urlopen(request, timeout=60).read()
        except urllib.error.HTTPError as error:
            if error.code not in (429, 503) or attempt == 4:
                raise
            time.sleep(int(error.headers["Retry-After"]))


with open(VINS, "rb") as vins, open("decoded.csv", "wb") as output:
    output.write(decode(vins.read()))

# %% Rows with an error
vehicles = pandas.read_csv("decoded.csv")
for row in vehicles[vehicles.error.notna()].itertuples():
    print(row.vin, row.error)

# %% Makes by year
decoded = vehicles.dropna(subset=["model_year"]).astype({"model_year": int})
counts = decoded.groupby(["model_year", "make"]).size().unstack(fill_value=0)
print(counts)

# %% The plot
counts.plot.bar(stacked=True, xlabel="model year", ylabel="vehicles", title="Makes by year")
matplotlib.pyplot.tight_layout()
matplotlib.pyplot.savefig("makes-by-year.png")
