/** What is known of a data set that is fetched and never kept in the repository. */

export interface DataFile {
  readonly name: string;
  /** Where the publisher has it. */
  readonly url: string;
  readonly bytes: number;
  readonly sha256: string;
}

export interface DataSet {
  readonly id: string;
  readonly title: string;
  readonly homepage: string;
  readonly files: readonly DataFile[];
  readonly licence: string;
  readonly citation: string;
  /** What makes the natural clients. */
  readonly partitionKey: string;
  readonly splitRule: string;
}

const UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/heart-disease";

export const FED_HEART_DISEASE: DataSet = {
  id: "fed-heart-disease",
  title: "Heart Disease, as federated by FLamby",
  homepage: "https://archive.ics.uci.edu/dataset/45/heart+disease",
  files: [
    {
      name: "processed.cleveland.data",
      url: `${UCI}/processed.cleveland.data`,
      bytes: 18_461,
      sha256: "a74b7efa387bc9d108d7d0115d831fe9b414b29ae7124f331b622b4efa0427c8",
    },
    {
      name: "processed.hungarian.data",
      url: `${UCI}/processed.hungarian.data`,
      bytes: 10_263,
      sha256: "d1ad108f785768cd3d7e82dc522e6f5a61eea93cccfb3a46ee8076f73fc3d796",
    },
    {
      name: "processed.switzerland.data",
      url: `${UCI}/processed.switzerland.data`,
      bytes: 4_109,
      sha256: "834a405ccf5b66ab4056bb77794adc8df0b7125186454c0a1d002d33c6c3b314",
    },
    {
      name: "processed.va.data",
      url: `${UCI}/processed.va.data`,
      bytes: 6_737,
      sha256: "e7c93d8d0d2acdadfa4c5e8de768e2191e7f618b952e29623f1f0d5949ff6b8f",
    },
  ],
  licence: "CC BY 4.0",
  citation:
    "Janosi, A., Steinbrunn, W., Pfisterer, M., Detrano, R. (1988). Heart Disease. UCI Machine Learning Repository. doi:10.24432/C52P4X. Federated split: Ogier du Terrail et al. (2022), FLamby, NeurIPS Datasets and Benchmarks.",
  partitionKey: "hospital: one file each",
  splitRule:
    "66 % train, 34 % test per hospital, stratified by label where both labels have more than two patients, scikit-learn's train_test_split with seed 43 (FLamby); kept as a list of test patients",
};
