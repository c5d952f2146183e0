"""The prompts and results that Su et al. (2022) and Ackermann & Ohmer (2024) released, analysed again.

`releases` reads them, `analysis` compares prompts with each other and with the published transfer, `accuracy`
asks what the published accuracies count, `report` is what the page says of it all, `convert` makes the files,
and `command` is `skillkit released`.

Everything reads a folder of neutral files (`SKILLKIT_REFERENCE`, or given):

    su_prompts_<model>.npz               one array [length, hidden] per task (roberta_base, t5_base, …)
    su_transfer_<model>.csv              source_task, target_task, metric: published zero-shot transfer
    su_ON_roberta_base_2021-09-10.csv    task_a, task_b, ON, transfer_a_to_b: the one published ON matrix
    su_prompts_roberta_base_2021-09-10.npz           the prompts of that matrix's commit
    ackermann_prompts_<model>_seed<seed>.npz         prompts by task; model: roberta, t5
    ackermann_prompt_training_meta.csv               model, seed, task, global_step, lr of each of them
    su_activated_neurons_t5xxl_training_steps.npz    packed 0/1 patterns [step, layer, width / 8]

`convert` makes the first two from a checkout of github.com/thunlp/Prompt-Transferability. The ON
matrix is that repository's `del.txt` at commit 471a903255, its last column the results in `result/` there.

May import: what transfer may.
"""
