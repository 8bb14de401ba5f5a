# Tries what a wheel with the extra `train` promises, in an empty folder: datasets are
# built, configs that ship are trained, the paper's experiments run.
export JAX_DISABLE_MOST_OPTIMIZATIONS=1  # they compile longer than they train
small=(--config.num_steps=2 --config.batch_size=4 --config.eval.batch_size=8
  --config.data.num_threads=0)
examples=studio_train=16,wild_train=16,wild_test=8
bmc-jax build procedural_hands --examples "$examples" --out data/tfds
bmc-jax train --config=quickstart --workdir=runs/quickstart "${small[@]}" \
  --config.run_rows="('2D only', 'lifter: + BMC')"
bmc-jax experiments table5 --data procedural --seeds 0 --workdir runs/experiments \
  "${small[@]}"
bmc-jax report --workdir runs/quickstart
test -s runs/quickstart/report.html
