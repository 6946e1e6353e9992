"""Shared fixtures: four virtual CPU devices, the folder of real data, small panels."""

import os
import re
import sys
import tempfile
from pathlib import Path

COMPILED = tempfile.TemporaryDirectory(prefix="gym-jax-tests-")
"""Many tests build the same program anew; it is compiled once a session."""
os.environ["JAX_COMPILATION_CACHE_DIR"] = COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_NUM_CPU_DEVICES"] = "4"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
# the same code, made by one thread: two processes of tests have a core each
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_parallel_codegen_split_count=1".strip()

import pytest  # noqa: E402 - JAX reads the settings above when it is first imported

ROOT = Path(__file__).parents[1]
WITHOUT_POSIX = os.name != "posix" or "GYMJAX_TESTS_WITHOUT_POSIX" in os.environ
"""The variable has Linux do as Windows would."""


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real traces: GYMJAX_DATA, or ../shared/data beside the project."""
    folder = Path(os.environ.get("GYMJAX_DATA", ROOT.parent / "shared" / "data"))
    if "GYMJAX_DATA" not in os.environ and not folder.is_dir():
        pytest.skip(f"no real traces: set GYMJAX_DATA, there is no {folder}")
    assert folder.is_dir(), f"GYMJAX_DATA={folder} is no folder"
    return folder


DOUBLED = (
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[\w+-1-",
    r"test_precision.*::test_(the_gradient_of_a_member_of_a_vmap|every_product_takes_bfloat16).*\[plain-",
    r"test_parallel.*::test_placements_agree\[(full-lstm|ragged-transformer)\]",
    r"test_accumulate.*::test_saved_and_resumed_with_average_and_micro_batches\[transformer\]",
    r"test_resume.*::test_stopped_and_resumed(\[mid-epoch-(lstm|transformer)\]|_on_several_devices\[(pmap|shard)\])",
    r"test_shards.*::test_the_same_bits_on_any_number_of_devices\[(lstm-|transformer-fast)",
    r"test_canonical.*::test_the_same_run_on_any_number_of_devices_and_moved_between",
    r"test_behind.*::test_a_run_saved_behind_has_the_bits_of_one_that_waits\[lstm\]",
    r"test_trouble.*::test_left_out_and_interrupted_ends_with_the_same_bits\[(1|7)-",
    r"test_resume.*::test_every_choice_of_training_resumes_to_the_bit\[(likelihood|lowered)",
    r"run/test_tasks.*::test_an_interrupted_run_goes_on_to_the_bit\[regress\]",
    r"test_resume.*::test_killed_without_warning_and_resumed\[(lstm|transformer)\]",
    r"test_step.*::test_loop_equals_scan_equals_vmapped_member\[lstm\]",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[transformer-future\]",
    r"run/test_real.*::test_the_main_job_runs_on_real_machines\[(mlp|transformer)\]",
    r"run/test_covariates.*::test_every_step_is_saved_with_the_run\[(minmax|log1p)",
    r"test_parallel.*::test_placements_agree_in_micro_batches_with_an_average\[ragged\]",
    r"test_accumulate.*::test_a_vmapped_member_is_the_single_run\[lstm\]",
    r"run/test_tasks.*::test_sequences_are_classified_scored_and_answered\[transformer\]",
    r"run/test_tasks.*::test_a_table_is_learnt_scored_and_answered\[(mlp|transformer)\]",
    r"test_precision.*::test_the_forecast_is_near_that_of_float32\[(plain-(last|standard)|fast-last)-",
    r"test_side.*::test_every_number_static_future_or_code_has_influence\[(fcn|separate)\]",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[static-3-(fcn|separate)\]",
    r"test_side.*::test_without_covariates_parameters_and_forecasts_are_those_of_old\[\w+-plain\]",
    r"test_side.*::test_compiled_and_eager_agree\[(fcn|separate)\]",
    r"test_shards.*::test_the_same_bits_on_any_number_of_devices\[(mlp-fast|transformer-safe)\]",
    r"test_shapes.*::test_the_check_would_see_a_wrong_shape\[a",
    r"run/test_covariates.*::test_a_model_with_covariates_beats_the_same_model_without",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[lstm-future\]",
    r"test_trouble.*::test_members_of_a_group_leave_their_own_steps_out\[rollback\]",
    r"test_trouble.*::test_left_out_and_interrupted_ends_with_the_same_bits\[4-rollback\]",
    r"test_parallel.*::test_placements_agree_in_micro_batches_with_an_average\[indivisible\]",
    r"test_parallel.*::test_the_length_of_a_chunk_changes_no_bit\[transformer\]",
    r"test_step.*::test_loop_equals_scan_equals_vmapped_member\[transformer\]",
    r"test_weights.*::test_the_averages_of_the_best_step_are_scored.*\[trained\]",
    r"test_many.*::test_a_member_is_its_single_run\[transformer-turns\]",
    r"test_many.*::test_members_may_have_examples_of_their_own\[turns\]",
    r"test_parts.*::test_training_a_model_moves_all_but_its_frozen_parts\[(lstm|transformer)\]",
    r"test_laws.*::test_a_few_hundred_steps_overfit_one_batch\[bfloat16-3-",
    r"test_resume.*::test_sigkill_in_a_process_of_its_own",
    r"test_precision.*::test_every_product_takes_bfloat16.*\[fast-(separate|fcn)\]",
    r"test_precision.*::test_the_gradient_of_a_member_of_a_vmap.*\[fast-transformer\]",
    r"test_precision.*::test_the_forecast_is_near_that_of_float32\[plain-none-(separate|fcn|transformer)\]",
    r"test_trouble.*::test_bad_batches_are_left_out_and_the_rest_is_learnt\[rollback\]",
    r"cli/test_start.*::test_config_show_of_a_finished_run_trains_it_again_to_the_bit\[schedule-free\]",
    r"test_resume.*::test_every_choice_of_training_resumes_to_the_bit\[schedule-free\]",
    r"test_parallel.*::test_placements_agree\[full-transformer\]",
    r"cli/test_tasks.*::test_a_classification_is_printed_with_its_confusion",
    r"run/test_explain.*::test_the_seed_decides_and_a_step_is_explained_alone",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[transformer-static\]",
    r"test_find_rate.*::test_a_model_with_dropout_trains_well_at_the_suggestion",
    r"test_average.*::test_shapes_host_trees_and_stacked_states_are_judged_alike\[(frozen|trained)\]",
    r"run/test_tasks.*::test_a_table_is_classified_by_folds",
    r"test_canonical.*::test_as_many_devices_as_share_the_shards",
    r"cli/test_start.*::test_profile_leaves_a_trace_and_changes_no_number",
    r"run/test_folds.*::test_refitting_takes_up_what_has_come",
    r"test_many.*::test_a_fast_pack_is_compared_with_its_safe_compilation",
    r"test_older.*::test_a_stopped_run_goes_on_to_the_end_it_had_then\[1-stopped_sgd",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[static-3-transformer\]",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[(static-3-lstm|future-3-(separate|fcn))\]",
    r"test_laws.*::test_a_few_hundred_steps_overfit_one_batch\[(bfloat16-1-\w+|float32-1-fcn)\]",
    r"test_many.*::test_a_member_is_its_single_run\[(transformer-vmap|lstm-turns)\]",
    r"test_bad_configs.*::test_what_is_to_be_typed_helps\[(a folder for|an override that stays|a list of)",
    r"test_precision.*::test_the_forecast_is_near_that_of_float32\[(fast-standard-(fcn|transformer|separate)|fast-none-(separate|lstm)|plain-none-lstm)\]",
    r"test_precision.*::test_every_product_takes_bfloat16.*\[fast-mlp\]",
    r"test_precision.*::test_a_window_far_from_zero_keeps_its_accuracy\[last-(fcn|separate|lstm)\]",
    r"test_precision.*::test_nothing_but_products_is_computed_in_bfloat16\[plain-separate\]",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[transformer-categories\]",
    r"test_oracle.*::test_a_forecast_is_that_of_predict_at_the_origin\[(quantiles|calibrated-395|calibrated-130)",
    r"test_parallel.*::test_placements_agree\[full-mlp\]",
    r"test_side.*::test_without_covariates_parameters_and_forecasts_are_those_of_old\[separate-fast\]",
    r"test_side.*::test_the_answer_to_the_past_depends_on_the_side_information\[static-fcn\]",
    r"test_side.*::test_every_number_static_future_or_code_has_influence\[transformer\]",
    r"run/test_compare.*::test_every_method_scores_what_evaluate_says\[(mase|rmse|smape)\]",
    r"run/test_tasks.*::test_a_group_answers_with_its_mean_and_its_spread",
    r"run/test_tasks.*::test_sequences_are_classified_scored_and_answered\[lstm\]",
    r"run/test_tasks.*::test_test_rows_are_poison_and_nobody_drank\[(word|nan)\]",
    r"run/test_poison.*::test_the_future_is_poison_and_nobody_drank\[huge\]",
    r"test_shards.*::test_the_value_is_that_of_the_whole_batch\[transformer\]",
    r"test_shards.*::test_without_them_the_bits_differ",
    r"test_accumulate.*::test_micro_batches_are_the_batch_in_float64_and_in_float32\[([24]-one over|2-two short)\]",
    r"test_accumulate.*::test_saved_and_resumed_with_average_and_micro_batches\[lstm\]",
    r"test_accumulate.*::test_the_split_moves_no_row_from_one_device_to_another\[transformer\]",
    r"data/test_poison.*::test_poison_after_the_train.*\[(plain|global, f|robust, q|log1p)",
    r"test_kernel.*::test_either_kernel_in_bfloat16_is_near_float64\[plain-",
    r"test_kernel.*::test_both_kernels_have_the_same_parameters\[two layers",
    r"test_transformer.*::test_separate_channels_share_weights.*\[1\]",
    r"cli/test_signals.*::test_a_signal_saves_and_leaves_with_its_code\[SIGINT\]",
    r"tune/test_resume.*::test_killed_twice_and_resumed_is_the_uninterrupted_search",
    r"test_laws.*::test_the_forecast_is_finite_and_has_a_value.*\[(2-3-\w+-1|2-3-(fcn|lstm)-3|1-1-(fcn|transformer)-3)\]",
    r"test_parallel.*::test_placements_agree_in_micro_batches_with_an_average\[fewer rows",
    r"test_accumulate.*::test_micro_batches_are_the_batch_in_float64_and_in_float32\[4-two short\]",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[(future-3-lstm|categories-3-fcn)\]",
    r"test_side.*::test_without_covariates_parameters_and_forecasts_are_those_of_old\[transformer-fast\]",
    r"test_side.*::test_the_answer_to_the_past_depends_on_the_side_information\[static-separate\]",
    r"test_side.*::test_every_number_static_future_or_code_has_influence\[mlp\]",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[lstm-static\]",
    r"test_kernel.*::test_both_kernels_give_the_same_forecasts_and_gradients_in_float64\[transformer\]",
    r"cli/test_start.*::test_export_holds_the_weights_that_forecast_and_says_which\[ema",
    r"test_precision.*::test_a_window_far_from_zero_keeps_its_accuracy\[standard-(fcn|separate)\]",
    r"test_gradients.*::test_attributions_add_up_to_the_difference_of_the_forecasts\[lstm\]",
    r"test_bad_configs.*::test_what_is_to_be_typed_helps\[(an override with blanks|a kind for an override)",
    r"test_losses.*::test_what_has_no_weight_changes_neither_loss_nor_gradient\[(log_cosh|mae|huber)\]",
    r"test_parallel.*::test_placements_agree\[ragged-lstm\]",
    r"test_parallel.*::test_the_length_of_a_chunk_changes_no_bit\[lstm\]",
    r"test_oracle.*::test_a_forecast_is_that_of_predict_at_the_origin\[calibrated-24\]",
    r"run/test_covariates.*::test_every_step_is_saved_with_the_run\[robust",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[(transformer-none|lstm-categories)\]",
    r"test_round_trip.*::test_every_commented_line_can_be_uncommented_alone",
    r"test_weights.*::test_the_averages_of_the_best_step_are_scored.*\[schedule_free\]",
    r"run/test_start.*::test_a_child_(of_a_warm_started|with_other_settings)",
    r"test_side.*::test_the_answer_to_the_past_depends_on_the_side_information\[(static-transformer|future-(separate|fcn))\]",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[(categories-3-separate|future-3-transformer)\]",
    r"test_side.*::test_without_covariates_parameters_and_forecasts_are_those_of_old\[lstm-fast\]",
    r"test_laws.*::test_a_few_hundred_steps_overfit_one_batch\[float32-1-transformer\]",
    r"test_laws.*::test_the_forecast_is_finite_and_has_a_value.*\[1-1-transformer-1\]",
    r"test_kernel.*::test_both_kernels_give_the_same_forecasts_and_gradients_in_float64\[two layers",
    r"run/test_group.*::test_killed_between_the_saves_of_two_members\[when one leaves",
    r"data/test_poison.*::test_poison_after_the_train.*\[robust global",
    r"cli/test_start.*::test_config_show_of_a_finished_run_trains_it_again_to_the_bit\[averaged\]",
    r"cli/test_bench.*::test_bench_reads_the_users_data_and_names_a_missing_peer",
    r"run/test_folds.*::test_a_configuration_is_trained_at_the_first_origin",
    r"run/test_report.*::test_a_calibrated_run_shows_whether_its_intervals_held",
    r"cli/test_compare.*::test_a_statistic_of_the_window_is_compared",
    r"test_many.*::test_a_member_is_its_single_run\[lstm-vmap\]",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[mlp-future\]",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[categories-3-lstm\]",
    r"test_weights.*::test_everybody_says_which_weights_these_are\[trained\]",
    r"test_tracking.*::test_a_child_is_a_run_of_its_own_with_the_curves_of_its_parent",
    r"cli/test_tasks.*::test_a_regression_from_check_to_prediction",
    r"test_calibrate.*::test_a_group_is_calibrated_around_its_mean",
    r"run/test_tasks.*::test_quantiles_and_several_targets_are_answered",
    r"run/test_covariates.*::test_a_known_column_that_was_dropped",
    r"test_side.*::test_the_answer_to_the_past_depends_on_the_side_information\[future-fcn\]",
    r"test_side.*::test_every_value_of_a_row_depends_on_its_own_side_information_only\[categories-3-separate\]",
    r"test_laws.*::test_the_forecast_is_finite_and_has_a_value.*\[(1-1-fcn-1|2-3-mlp-3)\]",
    r"test_laws.*::test_compiled_and_eager_agree\[fcn-1\]",
    r"test_laws.*::test_a_few_hundred_steps_overfit_one_batch\[float32-1-transformer\]",
    r"models/test_covariates.*::test_a_model_with_all_covariates_beats_the_same_model_without\[lstm-categories\]",
    r"test_precision.*::test_nothing_but_products_is_computed_in_bfloat16\[fast-separate\]",
    r"data/test_poison.*::test_poison_after_the_train.*\[minmax, hampel\]",
    r"run/test_covariates.*::test_every_step_is_saved_with_the_run\[by series\]",
    r"test_shards.*::test_the_value_is_that_of_the_whole_batch\[lstm\]",
    r"test_accumulate.*::test_the_split_moves_no_row_from_one_device_to_another\[lstm\]",
    r"test_kernel.*::test_both_kernels_have_the_same_parameters\[transformer\]",
    r"ops/test_lstm.*::test_(members_of_a_vmap|gates_far).*bfloat16.*lstm_hoisted",
    r"ops/test_lstm.*::test_states_and_gradients_are_near_those_in_float64\[odd.*lstm_hoisted",
)
"""Cases of seconds that run with the slow ones; of most the like stays in every pass: another model, kernel, layout."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the doubled cases slow; where all tests were collected, note the patterns that match none."""
    asked = {Path(config.invocation_params.dir, path).resolve() for path in config.args}
    whole = asked <= {ROOT, ROOT / "tests"} and not config.getoption("ignore")
    names = [item.nodeid for item in items] if whole else None
    config.stale = [one for one in DOUBLED if names is not None and not any(re.search(one, n) for n in names)]
    for item in items:
        if any(re.search(pattern, item.nodeid) for pattern in DOUBLED):
            item.add_marker(pytest.mark.slow)
    config.left_out = [item for item in items if item.get_closest_marker("posix")] if WITHOUT_POSIX else []
    if config.left_out:
        config.hook.pytest_deselected(items=config.left_out)
        items[:] = [item for item in items if item not in config.left_out]


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an encoding of the system's own: the tests write their files without naming one."""
    if os.name == "nt" and not sys.flags.utf8_mode:
        raise pytest.UsageError("set PYTHONUTF8=1: these tests write text as UTF-8")


def pytest_report_collectionfinish(config: pytest.Config) -> list[str]:
    """Say how many tests are left out because this system is not POSIX."""
    return [f"not POSIX: {len(config.left_out)} tests that need it are left out"] if WITHOUT_POSIX else []
