export default function CampaignPage({ id }: { id: string }) {
  return <p>{id}</p>;
}
